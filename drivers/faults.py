"""A simulated recorder's description and the faults it is to show.

`.recorder.yaml` names what a real card would: `label, fs_uuid, fs_type, model`; and what some recorders tell:
`battery` (percent), `free` and `total` (bytes), `clock_off` (seconds ahead). `.faults.yaml` holds
`block` (bytes) and `files`: for each path a letter per block, of which the last one repeats:

    r read                    R read after a short stall
    E unreadable              S short read
    H hangs until disconnected  G pulled here, for the rest of this docking
    X one bit is flipped      W the file grows while it is read
"""

import errno
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agent.errors import ConfigError, DeviceGone, Reject, SourceUnreadable
from agent.model import Port
from drivers.base import Reader
from drivers.tree import Tree

RECORDER_FILE = ".recorder.yaml"
FAULTS_FILE = ".faults.yaml"
_LONGEST = 1 << 20
_STALL = 0.05

_T = TypeVar("_T", bound=BaseModel)
Letters = Annotated[str, StringConstraints(pattern=r"^[rRESHGXW]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Description(_Strict):
    label: str = ""
    fs_uuid: str = ""
    fs_type: str = ""
    model: str = ""
    battery: int | None = Field(None, ge=0, le=100)
    free: int | None = Field(None, ge=0)
    total: int | None = Field(None, ge=0)
    clock_off: float | None = Field(None, allow_inf_nan=False)


class Faults(_Strict):
    block: int = Field(64 << 10, ge=512)
    files: Mapping[str, Letters] = {}


def load(kind: type[_T], tree: Tree, name: str, port: Port) -> _T:
    """What the file `name` says; the defaults when there is none. Raises ConfigError, DeviceGone."""
    try:
        text = tree.head(name, _LONGEST)
    except Reject as e:
        if e.key == "vanished":
            return kind()
        raise ConfigError([f"{port.path / name}: {e}"]) from e
    try:
        # BaseLoader: every scalar stays text. `label: 0000012` is a number of seven characters.
        return kind.model_validate(yaml.load(text, Loader=yaml.BaseLoader) or {})
    except (yaml.YAMLError, ValidationError) as e:
        raise ConfigError([f"{port.path / name}: {e}"]) from e


@dataclass(slots=True)
class Life:
    """Of one session: it ends when the recorder is pulled, by hand or by a fault."""

    port: Port
    docking: object
    pulled: set[object]  # dockings that a fault ended; shared by all sessions of the driver
    closed: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        if self.docking in self.pulled or not self.port.present():
            raise DeviceGone()

    def pull(self) -> NoReturn:
        self.pulled.add(self.docking)
        raise DeviceGone()

    def hang(self) -> NoReturn:
        while not self.closed.wait(_STALL) and self.port.present():
            pass
        raise DeviceGone()


class FaultyReader:
    """Reads like `inner`, at most one block at a time, each with its fault."""

    def __init__(self, inner: Reader, path: Path, letters: str, block: int, life: Life) -> None:
        self._inner = inner
        self._path = path
        self._letters = letters
        self._block = block
        self._life = life
        self._grown: set[int] = set()

    def read_at(self, buffer: memoryview, offset: int) -> int:
        index, at = divmod(offset, self._block)
        letter = self._letters[min(index, len(self._letters) - 1)]
        piece = buffer[: self._block - at]
        match letter:
            case "E":
                raise SourceUnreadable(offset=offset, length=len(buffer), errno=errno.errorcode[errno.EIO])
            case "G":
                self._life.pull()
            case "H":
                self._life.hang()
            case "R":
                self._life.closed.wait(_STALL)
            case "S":
                piece = piece[: max(1, len(piece) // 2)]
            case "W":
                self._grow(index)
        got = self._inner.read_at(piece, offset)
        if letter == "X" and got and at == 0:
            piece[0] ^= 1
        return got

    def ahead(self, offset: int, length: int) -> None:
        self._inner.ahead(offset, length)

    def stat(self) -> tuple[int, int]:
        return self._inner.stat()

    def close(self) -> None:
        self._inner.close()

    def _grow(self, index: int) -> None:
        """Once per block and by less than a block, so that whoever reads on comes to an end."""
        if index in self._grown:
            return
        self._grown.add(index)
        with self._path.open("ab") as file:
            file.write(bytes(self._block // 64))
