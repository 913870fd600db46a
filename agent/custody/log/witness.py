"""Heads that are carried to another station, which countersigns and keeps them: so a station cannot rewrite
its whole past, not even with its whole disk and its key, unless the other one does so, too.

    recorder-station heads 1
    <vkey>                        of the log
    old <size> <hash>,<hash>,…    for each head that was carried before: that the log goes on from it
                                  (empty)
    <the last head, a signed note>

    witnessed/<digest>/key.pub    what this station keeps of a log of another one: its key, and
    witnessed/<digest>/heads      every head that it countersigned
    cosigned/<n>/<size>-<id>      heads of this station's log <n>, countersigned by the key with that id

Formats of C2SP: signed-note, tlog-checkpoint, tlog-cosignature.
"""

import base64
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import durable
from agent.catalog import meta
from agent.custody.log import heads, signer
from agent.custody.log.reading import Log
from agent.custody.log.signer import Signer
from agent.custody.verifier import (
    COSIGNATURE,
    LARGEST_NOTE,
    Head,
    Invalid,
    Key,
    Note,
    Signature,
    check_consistency,
    cosigned,
)
from agent.errors import Reject

Kept = tuple[str, Note | Invalid]  # where a head lies, and the head, or why it is none
HEADER = "recorder-station heads 1"
WITNESSED, COSIGNED = "witnessed", "cosigned"


@dataclass(frozen=True, slots=True)
class Carried:
    """`proofs`: by the size of the older head."""

    key: Key
    proofs: Mapping[int, tuple[bytes, ...]]
    note: Note

    @property
    def head(self) -> Head:
        return Head.parse(self.note.text)

    @property
    def text(self) -> str:
        old = (f"old {size} {','.join(map(_b64, proof))}\n" for size, proof in sorted(self.proofs.items()))
        return f"{HEADER}\n{self.key.vkey}\n{''.join(old)}\n{self.note.data.decode()}"

    @classmethod
    def parse(cls, text: str) -> "Carried":
        """Raises Invalid; nothing of it is believed yet."""
        top, _, note = text.partition("\n\n")
        header, *lines = top.split("\n")
        if header != HEADER or not lines:
            raise Invalid("this is no file of carried heads")
        return cls(Key.parse(lines[0]), dict(map(_proof, lines[1:])), Note.parse(note.encode()))


def carry(log: Log, before: Sequence[int]) -> Carried:
    """The last head of the log. `before`: the sizes of those that were carried earlier."""
    proofs = {size: tuple(log.consistency(size)) for size in before if 0 < size < log.head.size}
    return Carried(log.key, proofs, log.note)


class Witness:
    """One station's part for others. `folder`: where its logs lie."""

    def __init__(self, folder: Path, ours: Signer) -> None:
        self._folder = folder / WITNESSED
        self._ours = ours

    def countersign(self, carried: Carried, at: int) -> Note:
        """Keep the head and sign it at the time `at`, in seconds since the epoch. Raises Reject `witness-…`
        when it does not go on from what this station knows of that log: then it keeps what it has."""
        origin = carried.head.origin
        try:
            head = Head.checked(carried.note, [carried.key], origin)
        except Invalid as error:
            raise Reject("witness-false", origin=origin, reason=str(error)) from error
        if not origin.startswith(f"{carried.key.name}/") or carried.key.name == self._ours.key.name:
            raise Reject("witness-own", origin=origin)
        folder = self._folder / hashlib.sha256(origin.encode()).hexdigest()[:32]
        before = self._before(folder, carried.key, origin)
        if before is not None:
            _goes_on(before, head, carried.proofs)
        if before is None or before.size < head.size:
            self._keep(folder, carried)
        return Note(carried.note.text, (*carried.note.signatures, self._signed(carried.note.text, at)))

    def _before(self, folder: Path, key: Key, origin: str) -> Head | None:
        data, _ = heads.last(folder)
        if not data:
            return None
        kept = signer.published(folder / "key.pub")
        if kept != key:
            raise Reject("witness-key", origin=origin)
        return Head.checked(Note.parse(data), [kept], origin)

    def _keep(self, folder: Path, carried: Carried) -> None:
        durable.make_folders(folder, self._folder.parent)
        signer.publish(folder / "key.pub", carried.key)
        first = [one for one in carried.note.signatures if one.id == carried.key.id][:1]
        heads.append(folder, Note(carried.note.text, tuple(first)))

    def _signed(self, text: str, at: int) -> Signature:
        key = cosigner(self._ours.key)
        signature = self._ours.sign(cosigned(text, at).decode()).signatures[0].data
        return Signature(key.name, key.id, at.to_bytes(8, "big") + signature)


def cosigner(key: Key) -> Key:
    """The key of a station as that of one who countersigns."""
    return Key(key.name, key.public, COSIGNATURE)


def keep(folder: Path, log: Log, note: Note, by: Key) -> tuple[Head, int]:
    """Keep a head of ours that `by`, another station, countersigned; the head, and when it did so. Raises
    Reject `cosigned-false` when it is not that."""
    try:
        if by.name == log.key.name or by.kind != COSIGNATURE:
            raise Invalid("this is not the key of another station that countersigns")
        head = Head.checked(note, [log.key], log.origin)
        note.check([by])
        at = note.cosigned_at(by)
    except Invalid as error:
        raise Reject("cosigned-false", reason=str(error)) from error
    place = folder / COSIGNED / log.folder.name
    durable.make_folders(place, folder)
    durable.write_file(place / f"{head.size:012}-{by.id.hex()}", note.data)
    return head, at


def remember(tx: sqlite3.Connection, number: str, by: Key) -> None:
    """Whose key it is that has countersigned heads of log `number`. Inside `Catalog.write`."""
    meta.put(tx, _known(number, by.id.hex()), by.vkey)


def known(db: sqlite3.Connection, number: str, key_id: str) -> Key | None:
    """The key with this id (hex) of which `remember` was told."""
    vkey = meta.get(db, _known(number, key_id))
    return Key.parse(vkey) if vkey else None


def _known(number: str, key_id: str) -> str:
    return f"countersigning:{number}:{key_id}"


def kept(folder: Path, number: int) -> Iterator[Kept]:
    """All countersigned heads of log number `number`, from the shortest to the longest."""
    place = folder / COSIGNED / str(number)
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        yield f"{COSIGNED}/{number}/{path.name}", read(path)


def read(path: Path) -> Note | Invalid:
    with path.open("rb") as file:
        data = file.read(LARGEST_NOTE + 1)
    try:
        return Note.parse(data)
    except Invalid as error:
        return error


def _goes_on(before: Head, head: Head, proofs: Mapping[int, tuple[bytes, ...]]) -> None:
    facts = {"origin": head.origin, "size": head.size, "before": before.size}
    if head.size < before.size:
        raise Reject("witness-shorter", **facts)
    if head.size > before.size and before.size not in proofs:
        raise Reject("witness-unproven", **facts)
    try:
        check_consistency(before.size, before.root, head.size, head.root, proofs.get(before.size, ()))
    except Invalid as error:
        raise Reject("witness-altered", reason=str(error), **facts) from error


def _proof(line: str) -> tuple[int, tuple[bytes, ...]]:
    word, _, rest = line.partition(" ")
    size, _, hashes = rest.partition(" ")
    if word != "old" or not size.isascii() or not size.isdigit() or len(size) > 18:
        raise Invalid("a line of the carried heads is none")
    try:
        proof = tuple(base64.b64decode(one, validate=True) for one in hashes.split(",") if one)
    except ValueError:
        raise Invalid("a line of the carried heads is none") from None
    return int(size), proof


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
