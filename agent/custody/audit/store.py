"""Everything that the station's logs say, compared with everything that its catalog says.

Reads only, beside a running agent, too. What it cannot see is a past that was rewritten as a whole, key and
all: that is seen by whoever keeps heads that left the station before.
"""

import contextlib
import itertools
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.catalog import beside, events, meta
from agent.custody.audit.finding import Finding, Looked
from agent.custody.audit.walk import Walk
from agent.custody.log import changing, leaf, opening, orders, signer, tiles, witness
from agent.custody.log.heads import FILE as HEADS
from agent.custody.log.leaf import Event
from agent.custody.log.reading import Log
from agent.custody.verifier import Head, Invalid, Key, KeyChange, Note
from agent.errors import Stop

LATE = 60.0  # seconds; an event that is older is in the log when all is well
#: Breaks behind which the catalog is still the same.
_SAME_CATALOG = ("log-key-lost", "log-lost", "log-station-new", opening.RESTORED, opening.REKEYED)
_CLIPS = (
    "SELECT c.id, c.state FROM clips c LEFT JOIN events e ON e.seq = c.event AND e.clip = c.id"
    " WHERE e.seq IS NULL OR json_extract(e.body, '$.to') IS NOT c.state OR EXISTS (SELECT 1 FROM events l"
    " WHERE l.clip = c.id AND l.seq > c.event AND json_extract(l.body, '$.to') IS NOT NULL) ORDER BY c.id"
)
_OPENINGS = "SELECT seq, body FROM events WHERE kind = 'log-opened' ORDER BY seq"


def audit(
    store: Path, looked: Looked, now: float | None = None, heads: Path | None = None
) -> Iterator[Finding]:
    """Of the station whose `store` this is. `now`: seconds since the epoch. `heads`: a folder with heads that
    left the station, a file each, at any depth.

    Raises CatalogError when there is no catalog that can be read, OSError for files that cannot."""
    with beside.reading(store) as db:
        told = list(_notes(heads)) if heads else []
        now = time.time() if now is None else now
        yield from _Audit(store / "custody", db, looked, now, told).findings()


class _Audit:
    def __init__(
        self, folder: Path, db: sqlite3.Connection, looked: Looked, now: float, heads: list[witness.Kept]
    ) -> None:
        self._folder, self._db, self._looked, self._now, self._heads = folder, db, looked, now, heads
        self._told: dict[int, Mapping[str, Any]] = {}  # number of a log: what its opening says
        self._signed: dict[int, Key] = {}  # number of a log that is here: its key
        self._settled = True  # no change of the key is under way
        self._last: dict[int, tuple[int, str, str]] = {}  # number of a log: size, root of its last head, key

    def findings(self) -> Iterator[Finding]:
        # Files before the catalog, which knows of a log before there is anything in it.
        there = opening.numbers(self._folder) if self._folder.is_dir() else []
        current, openings = self._opened()
        if not current and not there and not self._first_events():
            return  # a station that has not begun yet
        yield from self._openings(current, openings)
        if current and not (self._folder / str(current)).is_dir():
            yield Finding("log-missing", {"log": current})
        yield from (Finding("log-unknown", {"log": log}) for log in there if log > current)
        same = self._of_this_catalog(current)
        for log in there:
            self._looked.logs += 1
            yield from self._log(log, log in same)
        yield from self._elsewhere()
        yield from self._before()
        yield from self._changes()
        if self._settled:
            yield from self._keys(current)
        yield from self._catalog(self._last[current][0] if current in self._last else 0)

    def _log(self, number: int, same: bool) -> Iterator[Finding]:
        folder = self._folder / str(number)
        key: Key | None
        try:
            key = signer.published(folder / "key.pub")
        except (OSError, Invalid) as error:
            yield Finding("key-unreadable", {"log": number, "place": "key.pub", "reason": str(error)})
            key = self._told_key(number)
        if key is None:
            return
        self._signed[number] = key
        told = self._told.get(number)
        if told is not None and told.get("key") != key.vkey:
            yield Finding("key-differs", {"log": number, "place": f"{number}/key.pub"})
        walk = Walk(folder, f"{key.name}/{number}", key, self._events if same else None, self._looked)
        yield from walk.findings()
        self._last[number] = (walk.last.size, walk.last.root.hex(), key.vkey)

    def _elsewhere(self) -> Iterator[Finding]:
        """Heads that left the station speak of the entries that are here."""
        cosigned = itertools.chain.from_iterable(witness.kept(self._folder, log) for log in self._signed)
        for place, note in itertools.chain(cosigned, self._heads):
            self._looked.heads += 1
            if self._apart(note):
                self._looked.apart += 1
                continue
            try:
                head, number = self._left(note)
            except Invalid as error:
                yield Finding("elsewhere-false", {"place": place, "reason": str(error)})
                continue
            if not self._leads_to(number, head):
                yield Finding("elsewhere-differs", {"place": place, "log": number, "size": head.size})

    def _apart(self, note: Note | Invalid) -> bool:
        """Whether the station says itself that this was signed when it had another future: by it, or by the
        disk of which it is a copy. What had left before the copy was made is not excused."""
        try:
            head = Head.parse(note.text) if isinstance(note, Note) else None
            number = int(head.origin.rpartition("/")[2]) if head else 0
        except (Invalid, ValueError):
            return False
        for log, told in self._told.items():
            before, left = _facts(told.get("before")).get("log"), told.get("left")
            if told.get("reason") != opening.RESTORED or not (
                isinstance(before, int) and isinstance(left, int)
            ):
                continue
            if head and number == before and head.size > left and number in self._signed:
                return self._signs(number, head, note) and not self._leads_to(number, head)
            if head and before < number < log and number not in self._signed:
                return any(head.origin == f"{key.name}/{number}" for key in self._signed.values())
        return False

    def _signs(self, number: int, head: Head, note: Note | Invalid) -> bool:
        key = self._signed[number]
        try:
            return isinstance(note, Note) and Head.checked(note, [key], f"{key.name}/{number}") == head
        except Invalid:
            return False

    def _changes(self) -> Iterator[Finding]:
        """Where a log ends with a change of the key, both keys have signed that, and another goes on."""
        led = dict[int, Mapping[str, Any]]()
        for told in self._told.values():
            before = _facts(told.get("before"))
            if told.get("reason") == opening.REKEYED and isinstance(log := before.get("log"), int):
                led[log] = told
        for log in sorted(led.keys() | {log for log in self._signed if (self._change(log)).exists()}):
            if log in self._signed and (why := self._why_not(log, led.get(log))):
                yield Finding("change-false", {"log": log, "place": f"{log}/{changing.FILE}", "reason": why})

    def _change(self, log: int) -> Path:
        return self._folder / str(log) / changing.FILE

    def _why_not(self, log: int, told: Mapping[str, Any] | None) -> str:
        if told is None:
            return "no log goes on from it" if self._settled else ""
        try:
            change = KeyChange.parse(self._change(log).read_bytes())
            new = Key.parse(str(told.get("key")))
        except (OSError, Invalid) as error:
            return str(error)
        size, root, _ = self._last.get(log, (0, "", ""))
        if (change.old, change.new) != (self._signed[log], new):
            return "it leads from another key, or to another"
        if (change.head.origin, change.head.size, change.head.root.hex()) != (
            f"{new.name}/{log}",
            size,
            root,
        ):
            return "it is not about the last head of this log"
        return ""

    def _left(self, note: Note | Invalid) -> tuple[Head, int]:
        """(the head, the number of its log)"""
        if isinstance(note, Invalid):
            raise note
        origin = Head.parse(note.text).origin
        for number, key in self._signed.items():
            if origin == f"{key.name}/{number}":
                return Head.checked(note, [key], origin), number
        raise Invalid(f"{origin} is not here")

    def _leads_to(self, number: int, head: Head) -> bool:
        try:
            log = Log(self._folder / str(number))
            return head.size <= log.head.size and tiles.root(head.size, log.read) == head.root
        except (Stop, IndexError):  # what is missing is told already
            return False

    def _told_key(self, number: int) -> Key | None:
        try:
            return Key.parse(str(self._told.get(number, {}).get("key")))
        except Invalid:
            return None

    def _opened(self) -> tuple[int, list[tuple[int, str]]]:
        """(number of the catalog's own log, its events that open one), of one moment: one may just begin."""
        self._db.execute("BEGIN")
        try:
            self._settled = orders.pending(self._db) is None
            return int(meta.get(self._db, opening.META) or 0), self._db.execute(_OPENINGS).fetchall()
        finally:
            self._db.execute("COMMIT")

    def _openings(self, current: int, openings: list[tuple[int, str]]) -> Iterator[Finding]:
        """Each log begins once in the catalog, the last one is the catalog's own."""
        number = 0
        for seq, body in openings:
            told = _facts(json.loads(body))
            log = told.get("log")
            if not isinstance(log, int) or log <= number:
                yield Finding("opening-false", {"event": seq})
                continue
            number = log
            self._told[log] = told
        if number != current:
            yield Finding("opening-missing", {"log": current, "opened": number})

    def _of_this_catalog(self, current: int) -> set[int]:
        same, number = {current}, current
        while self._told.get(number, {}).get("reason") in _SAME_CATALOG:
            number = _facts(self._told[number].get("before")).get("log", 0)
            if not isinstance(number, int) or number in same:
                break
            same.add(number)
        return same

    def _before(self) -> Iterator[Finding]:
        """What an opening says of the log before is so still."""
        for number, told in self._told.items():
            before = _facts(told.get("before"))
            log = before.get("log")
            if before.get("size") is None:
                continue
            if log not in self._last:
                yield Finding("log-missing", {"log": log})
                continue
            size, root, key = self._last[log]
            if (size, root) != (before["size"], before.get("root")):
                yield Finding("log-cut", {"log": log, "size": before["size"], "there": size, "by": number})
            if key != before.get("key"):
                yield Finding("key-differs", {"log": log, "place": f"{log}/key.pub"})

    def _keys(self, current: int) -> Iterator[Finding]:
        with contextlib.suppress(FileNotFoundError, PermissionError):  # who audits a copy has no key
            mode = (self._folder / "key").lstat().st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO) or not stat.S_ISREG(mode):
                yield Finding("key-open", {"place": "key", "mode": f"{stat.S_IMODE(mode):04o}"})
            elif os.access(self._folder / "key", os.R_OK):
                yield from self._own_key(current)
        if current in self._last:
            yield from self._published(current)

    def _own_key(self, current: int) -> Iterator[Finding]:
        key = self._told_key(current)
        ours = signer.load(self._folder, key.name if key else "")
        if ours is None or (key is not None and ours.key != key):
            yield Finding("key-differs", {"log": current, "place": "key"})

    def _published(self, current: int) -> Iterator[Finding]:
        try:
            same = signer.published(self._folder / "key.pub") == self._told_key(current)
        except (OSError, Invalid):
            same = False
        if not same:
            yield Finding("key-differs", {"log": current, "place": "key.pub"})

    def _catalog(self, signed: int) -> Iterator[Finding]:
        """What no log can speak of: what is not signed yet, what does not count from 1, clips."""
        yield from self._unsigned(signed)
        for (seq,) in self._db.execute("SELECT seq FROM events WHERE seq < 1 ORDER BY seq"):
            yield Finding("event-strange", {"event": seq})
        for clip, state in self._db.execute(_CLIPS):
            yield Finding("clip-differs", {"clip": clip, "state": state})

    def _unsigned(self, signed: int) -> Iterator[Finding]:
        first, late, expected = 0, 0, signed + 1
        while rows := events.rows(self._db, expected, 256):
            for row in rows:
                if row[0] != expected:
                    yield Finding("event-missing", {"log": "-", "event": expected})
                if row[4] < self._now - LATE:
                    first, late = first or row[0], late + 1
                expected = row[0] + 1
        self._looked.events = expected - 1
        if late:
            yield Finding("events-unsigned", {"event": first, "count": late})

    def _events(self, first: int, most: int) -> list[tuple[int, bytes]]:
        found = []
        for row in events.rows(self._db, first, most):
            if row[0] < first + most:
                try:
                    found.append((row[0], leaf.entry(Event(*row))))
                except ValueError:
                    found.append((row[0], b""))  # no entry: it cannot be what was logged
        return found

    def _first_events(self) -> bool:
        return bool(events.rows(self._db, 1, 1))


def _notes(folder: Path) -> Iterator[witness.Kept]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name == HEADS:
            yield str(path.relative_to(folder)), witness.read(path)


def _facts(value: Any) -> Mapping[str, Any]:
    """What is no object says nothing."""
    return value if isinstance(value, dict) else {}
