"""What was erased from recorders, and what is to be: the lists, and the certificate of each.

That a file was erased is a fact about the recorder's copy, kept with the name under which it was there.
Functions that take `tx` run inside `Catalog.write`.
"""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agent.catalog import door
from agent.model import Identity, SourceClip, printable, raw

ERASED = "erased"
GONE = "gone"  # on the list, and not there any more when a card that was pulled came back
ONLY_ASK = "kept-not-asked"  # all that keeps a file is that the centre has not vouched for it today
_TOLD = 100  # files that a certificate names one by one


class Named(NamedTuple):
    """A file on a card, and the clip that it is."""

    name: int
    clip: int
    path: bytes
    size: int
    mtime_ns: int
    samples: bytes
    sha256: bytes
    key: str  # of the local copy


class Open(NamedTuple):
    """An erasure without a certificate."""

    id: int
    files: tuple[Named, ...]  # of which nobody knows yet what became of them


_NAMED = (
    "SELECT n.id, c.id, n.path, n.size, n.mtime_ns, n.samples, c.sha256, c.key"
    " FROM names n JOIN clips c ON c.id = n.clip"
)


def named(db: sqlite3.Connection, identity: Identity, source: SourceClip) -> list[Named]:
    """The clips that a listed file may be: all that were collected from this very name, size and time."""
    rows = db.execute(
        f"{_NAMED} WHERE n.recorder = ? AND n.fs_id = ? AND n.path = ? AND n.size = ? AND n.mtime_ns = ?"
        " AND n.samples IS NOT NULL AND c.sha256 IS NOT NULL AND c.key IS NOT NULL",
        (identity.recorder, identity.fs_id, raw(source.path), source.size, source.mtime_ns),
    )
    return [Named(*row) for row in rows]


def differs(tx: sqlite3.Connection, name: int) -> None:
    """What lies under it is not what was copied, whatever its samples say: it is copied again."""
    tx.execute("UPDATE names SET samples = NULL WHERE id = ?", (name,))


def begin(tx: sqlite3.Connection, docking: int, identity: Identity, files: Iterable[Named]) -> int:
    """Before the first of `files` goes. The number of the erasure."""
    listed = list(files)
    facts = {"docking": docking, "recorder": identity.recorder, "fs_id": identity.fs_id, **_sums(listed)}
    number = door.note(tx, "erasing", None, facts)
    tx.execute(
        "INSERT INTO erasures VALUES (?, ?, ?, ?, NULL)",
        (number, identity.recorder, identity.fs_id, docking),
    )
    tx.executemany("INSERT INTO doomed (erasure, name) VALUES (?, ?)", [(number, one.name) for one in listed])
    return number


def unfinished(db: sqlite3.Connection, identity: Identity) -> list[Open]:
    """Of this card."""
    rows = db.execute(
        "SELECT id FROM erasures WHERE recorder = ? AND fs_id = ? AND ended IS NULL ORDER BY id",
        (identity.recorder, identity.fs_id),
    ).fetchall()
    return [Open(int(row[0]), tuple(_unknown(db, int(row[0])))) for row in rows]


def _unknown(db: sqlite3.Connection, erasure: int) -> list[Named]:
    rows = db.execute(f"{_NAMED} JOIN doomed d ON d.name = n.id WHERE erasure = ? AND fate = ''", (erasure,))
    return [Named(*row) for row in rows]


def finish(
    tx: sqlite3.Connection,
    erasure: Open,
    docking: int,
    fates: Mapping[int, str],
    left: Mapping[str, int],
    missing: Iterable[str] = (),
) -> int:
    """The certificate. `fates`: by name, of every file of the list; `left`: why how many other files of the
    card were left; `missing`: paths that were neither listed nor are there any more. Its number."""
    went = [one for one in erasure.files if fates[one.name] in (ERASED, GONE)]
    stayed = [one for one in erasure.files if fates[one.name] not in (ERASED, GONE)]
    lost = sorted(missing)
    facts: dict[str, object] = {
        "erasing": erasure.id,
        "docking": docking,
        **_sums(went),
        "fates": dict(Counter(fates[one.name] for one in erasure.files)),
        "left": dict(left),
        "stayed": [[printable(os.fsdecode(one.path)), fates[one.name]] for one in stayed[:_TOLD]],
    }
    if lost:
        facts |= {"missing": len(lost), "missing_paths": [printable(path) for path in lost[:_TOLD]]}
    number = door.note(tx, "erased", None, facts)
    tx.executemany(
        "UPDATE doomed SET fate = ? WHERE erasure = ? AND name = ?",
        [(fates[one.name], erasure.id, one.name) for one in erasure.files],
    )
    # Every name of that path: an older file that this one had replaced went from the card long ago.
    tx.executemany(
        "UPDATE names SET erased = ?, gone = coalesce(gone, ?) WHERE id = ? OR (gone IS NULL AND recorder ="
        " (SELECT recorder FROM erasures WHERE id = ?) AND fs_id = (SELECT fs_id FROM erasures WHERE id = ?)"
        " AND path = ?)",
        [(number, docking, one.name, erasure.id, erasure.id, one.path) for one in went],
    )
    tx.execute("UPDATE erasures SET ended = ? WHERE id = ?", (number, erasure.id))
    return number


def _sums(files: list[Named]) -> dict[str, object]:
    """`root`: SHA-256 over a line for each file, sorted by its raw path: digest, size, mtime in ns, path in
    hex, with a space between them and a line feed behind."""
    lines = [
        f"{one.sha256.hex()} {one.size} {one.mtime_ns} {one.path.hex()}\n"
        for one in sorted(files, key=lambda one: one.path)
    ]
    root = hashlib.sha256("".join(lines).encode("ascii")).hexdigest()
    return {"count": len(files), "bytes": sum(one.size for one in files), "root": root}
