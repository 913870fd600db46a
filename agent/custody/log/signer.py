"""The station's key: made here at the first start, never leaves this disk, signs the heads of its logs.

key      the seed, base64; whoever reads it can sign in the station's name
key.pub  what others need: name, id and public key in one line (a vkey)
key.next  while the key is changed: the one that takes its place
"""

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import durable
from agent.custody.verifier import Invalid, Key, Note, Signature
from agent.errors import Stop

NEXT = "key.next"
_SEED = 32  # bytes
_LARGEST = 4096  # bytes of a file with a key


class Signer:
    """Signs only; to believe a signature is the verifier's part."""

    def __init__(self, seed: bytes, name: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Note:
        """`text` ends with a newline."""
        return Note(text, (Signature(self.key.name, self.key.id, self._private.sign(text.encode())),))


def load(folder: Path, name: str, file: str = "key") -> Signer | None:
    """None when the key is lost: there is no file, or no key in it.

    Raises Stop `log-key-open` when others may read it: then it proves nothing, and an administrator has to
    know; OSError when the disk does not give it."""
    path = folder / file
    try:
        with durable.open_fd(path, os.O_RDONLY) as fd:
            mode = os.fstat(fd).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Stop("log-key-open", path=str(path), mode=f"{stat.S_IMODE(mode):04o}")
            text = os.read(fd, _LARGEST)
    except FileNotFoundError:
        return None
    try:
        seed = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return None
    return Signer(seed, name) if len(seed) == _SEED else None


def make(folder: Path, name: str, aside: str) -> Signer:
    """A new key, on the disk when this returns. What lay there as one is kept as `key.<aside>`."""
    path, (made, fresh) = folder / "key", _fresh(folder, name)
    with contextlib.suppress(FileNotFoundError):
        durable.rename_noreplace(path, folder / f"key.{aside}")
    durable.rename_noreplace(fresh, path)
    durable.sync_folder(folder)
    return made


def following(folder: Path, name: str) -> Signer:
    """The key that is to come after this one: `key.next`, made when it is not there, on the disk when this
    returns. Raises as `load`."""
    kept = load(folder, name, NEXT)
    if kept is not None:
        return kept
    made, fresh = _fresh(folder, name)
    fresh.replace(folder / NEXT)
    durable.sync_folder(folder)
    return made


def succeed(folder: Path) -> None:
    """The key that was to come takes the place of the old one, which nobody has any more. Again after a cut
    anywhere in between: then there may be no old key, or no next one any more."""
    if not (folder / NEXT).exists():
        return
    with contextlib.suppress(FileNotFoundError), durable.open_fd(folder / "key", os.O_WRONLY) as fd:
        os.pwrite(fd, b"\0" * os.fstat(fd).st_size, 0)  # as far as the disk writes where it wrote before
        os.fsync(fd)
    (folder / NEXT).replace(folder / "key")
    durable.sync_folder(folder)


def _fresh(folder: Path, name: str) -> tuple[Signer, Path]:
    """A key, and the file in which it is on the disk."""
    seed, fresh = secrets.token_bytes(_SEED), folder / "key.tmp"
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(base64.b64encode(seed) + b"\n")
        file.flush()
        os.fsync(fd)
    return Signer(seed, name), fresh


def publish(path: Path, key: Key) -> None:
    durable.write_file(path, f"{key.vkey}\n".encode())


def published(path: Path) -> Key:
    """The key that lies at `path`. Raises Invalid when it is none, OSError when there is no such file."""
    with path.open("rb") as file:
        text = file.read(_LARGEST)
    try:
        return Key.parse(text.decode().removesuffix("\n"))
    except UnicodeDecodeError:
        raise Invalid("this is no key") from None
