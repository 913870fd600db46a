"""A sidecar read back, long after it was written: believed only where it is sound, and only about
bytes that are what it says."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from agent import durable
from agent.catalog.documents import FORMAT, path_from
from agent.model import printable

LARGEST = 16 << 20  # bytes: the parts of 15 TiB. What is larger is no sidecar and is not loaded.
_BLOCK = 1 << 20

_Int = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Time = Annotated[float, Field(allow_inf_nan=False)]
_Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Unusable(Exception):
    """A sentence: what is wrong with a sidecar or with its clip."""


class _Path(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    path: str
    path_base64: str | None = None

    @property
    def raw(self) -> bytes:
        return path_from(self.model_dump(include={"path", "path_base64"}, exclude_none=True))

    @model_validator(mode="after")
    def _is_a_path(self) -> "_Path":
        if not self.raw:
            raise ValueError("an empty path")
        return self


class Name(_Path):
    recorder: str
    fs_id: str
    size: _Count
    mtime_ns: _Int
    samples: _Hex | None


class Docking(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    slot: str
    started: _Time
    clock_trusted: bool = False


def _iso(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class Sidecar(_Path):
    """`agent.catalog.documents` writes it."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    clip: _Int
    key: str
    recorder: str
    officer: str
    fs_id: str
    size: _Count
    mtime_ns: _Int
    kind: str
    sequence: _Int | None
    recorded_at: Annotated[str, AfterValidator(_iso)] | None
    time_source: str
    important: bool
    assigned: bool
    name_parsed: bool
    partial: bool
    sha256: _Sha256
    sm3: _Sha256 | None = None
    part_size: Annotated[int, Field(gt=0, le=2**63 - 1)]
    parts: list[_Sha256]
    unreadable: list[tuple[_Count, _Count]]
    names: list[Name]
    docking: Docking
    seen_at: _Time

    @model_validator(mode="after")
    def _tells_of_one_file(self) -> "Sidecar":
        if len(self.parts) != -(-self.size // self.part_size):
            raise ValueError(f"{len(self.parts)} parts of {self.part_size} bytes are not {self.size}")
        if any(offset + length > self.size for offset, length in self.unreadable):
            raise ValueError("unreadable ranges outside of the file")
        return self


def read(path: Path) -> Sidecar:
    """Raises Unusable, or OSError."""
    with _opened(path) as fd:
        size = os.fstat(fd).st_size
        if size > LARGEST:
            raise Unusable(f"is no sidecar: it has {size} bytes")
        with open(fd, "rb", closefd=False) as file:
            data = file.read(LARGEST)
    return parse(data)


def parse(data: bytes) -> Sidecar:
    """Raises Unusable."""
    try:
        return Sidecar.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Unusable(printable(f"is no sidecar: {place + ': ' if place else ''}{first['msg']}")) from None


def compare(path: Path, sidecar: Sidecar, advanced: Callable[[int], None]) -> None:
    """Read the clip at `path` from the disk and tell `advanced` how many bytes each step read.

    Raises Unusable where it is not what `sidecar` says, or OSError."""
    with _opened(path) as fd:
        size = os.fstat(fd).st_size
        if size != sidecar.size:
            raise Unusable(f"is {size} bytes long, not {sidecar.size}")
        os.fsync(fd)
        durable.drop_cache(fd)
        whole = [(hashlib.sha256(), sidecar.sha256)]
        if sidecar.sm3:
            whole.append((hashlib.new("sm3"), sidecar.sm3))
        for index, wanted in enumerate(sidecar.parts):
            part = hashlib.sha256()
            for block in _blocks(fd, sidecar.part_size):
                part.update(block)
                for digest, _ in whole:
                    digest.update(block)
                advanced(len(block))
            if part.hexdigest() != wanted:
                raise Unusable(f"has changed: part {index} is not what was stored")
        if any(digest.hexdigest() != wanted for digest, wanted in whole):
            raise Unusable("has changed: its digest is not that of what was stored")


def _blocks(fd: int, size: int) -> Iterator[bytes]:
    while size and (block := os.read(fd, min(_BLOCK, size))):
        size -= len(block)
        yield block


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Whatever lies in the store: a pipe must not make the rebuild wait for ever.
    with durable.open_fd(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable("is no file")
        yield fd
