"""One story of a station, told again into tables of the station's own schema.

So rules, holds and periods are asked of it by the very code that the station runs. From the events come
labels, holds, cases, rules, clocks and merges; from the documents of the dockings what a clip is. Whatever is
missing, or is not as a station writes it, is told as `fault`: then nobody knows what the story would protect.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from agent.catalog import holds, migrate, replay, retained
from agent.catalog.events import Event, insert
from agent.catalog.holds import Hold
from agent.catalog.retained import Row
from agent.model import ClipState
from agent.retention.book import standing
from agent.retention.rules import Rule, read

_CLIP = (
    "INSERT OR REPLACE INTO clips (id, event, state, recorder, officer, recorded_at, docking, kind,"
    " important, size, key, sha256, merged_into, fs_id, path, mtime_ns, seen_at, assigned, time_source,"
    " name_parsed)"
    " VALUES (:clip, :clip, :state, :recorder, :officer, :recorded_at, :docking, :kind, :important,"
    " :size, :key, :sha256, :into, '', x'', 0, 0, 1, '', 1)"
)
_DOCKING = "INSERT OR REPLACE INTO dockings (id, slot, recorder, fs_id, officer, started, clock_trusted)"
_WRONG = (KeyError, TypeError, ValueError, OverflowError, AttributeError, sqlite3.Error)
_NOBODYS = {
    "state": ClipState.MERGED, "recorder": "", "size": 0, "docking": 0, "kind": "", "important": 0,
    "officer": "", "recorded_at": None, "key": None, "sha256": None,
}  # fmt: skip


class Replica:
    """`marks`: numbers of events before which `chain` is to be remembered."""

    def __init__(self, marks: Collection[int] = ()) -> None:
        self._marks, self._marked = frozenset(marks), dict[int, bytes]()
        self._chain = hashlib.sha256()  # over every line that was told
        self.next = 1  # number of the event that comes next
        self.fault = ""  # a key of the words; empty while all is well
        self.unknown = set[str | None]()  # keys of clips that were stored, and that no document describes
        self._important = set[int | None]()
        self._described = False
        self._db = _tables()

    def take(self, segment: bytes) -> None:
        """Events, as a segment of the log has them; those that are known are passed over."""
        with self._reading():
            for line in segment.splitlines():
                event = json.loads(line)
                if event["seq"] > self.next:
                    self.fault = "story-gap"
                    return
                if event["seq"] == self.next:
                    self._event(event)
                    self._count(line)

    def _count(self, line: bytes) -> None:
        self.next += 1
        self._chain.update(line + b"\n")
        if self.next in self._marks:
            self._marked[self.next] = self._chain.digest()

    def tells_all_of(self, other: "Replica") -> bool:
        """Whether every event of `other`, of which nothing is missing, is told here, the same to the byte. As
        far as it was among the `marks`."""
        return not other.fault and self._marked.get(other.next) == other._chain.digest()

    def describe(self, document: bytes) -> None:
        """What the clips of a docking are."""
        with self._reading():
            for line in document.splitlines():
                self._describe(json.loads(line))

    def complete(self) -> None:
        """All documents were read."""
        query = "SELECT stored.key FROM stored LEFT JOIN clips ON id = clip WHERE id IS NULL"
        self.unknown = {key for (key,) in self._db.execute(query)}
        self._described = True
        self._all_named()

    def _all_named(self) -> None:
        """Of a clip that was rebuilt no event tells the key."""
        if None in self.unknown:
            self.fault = self.fault or "story-gap"

    def rows(self, key: str) -> list[Row]:
        """The clips that have this key."""
        return [row for page in retained.where(self._db, "c.key = :key", {"key": key}) for row in page]

    def sha256(self, clip: int) -> str:
        (found,) = self._db.execute("SELECT hex(sha256) FROM clips WHERE id = ?", (clip,)).fetchone()
        return str(found).lower()

    def began(self, row: Row, now: float) -> float | None:
        return retained.began(self._db, row, now).at

    def rules(self) -> tuple[Rule, ...]:
        """All that protect; none, and a fault, when this version does not understand them."""
        try:
            return standing(self._db).rules
        except _WRONG:
            self.fault = "story-damaged"
            return ()

    def holds(self) -> list[Hold]:
        return holds.in_force(self._db)

    def was_kept_for_ever(self, row: Row) -> bool:
        """Whether the station can have asked the centre to hold this clip for good, at any time: by a hold,
        a rule without end, or something that was said of it."""
        rows = self._db.execute("SELECT id, scope, value, since, until FROM holds").fetchall()
        if row.important or row.id in self._important or any(Hold(*one).covers(row) for one in rows):
            return True
        if self._db.execute("SELECT 1 FROM labels WHERE clip = ?", (row.id,)).fetchone():
            return True
        sets = self._db.execute("SELECT rules FROM rulesets").fetchall()
        rules = [read(told) for (told_by,) in sets for told in json.loads(told_by)]
        return any(rule.centre == math.inf and not rule.with_case for rule in rules if not rule.important)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What was read before a line that is none of a station's counts all the same."""
        self._db.execute("BEGIN")
        try:
            yield
        except (*_WRONG, RecursionError):
            self.fault = "story-damaged"
        finally:
            self._db.execute("COMMIT")

    def _event(self, told: Mapping[str, Any]) -> None:
        body = told["body"]
        event = Event(
            int(told["seq"]), told["clip"], told["kind"], json.dumps(body), float(told["at"]), "",
            bool(told["clock_trusted"]),
        )  # fmt: skip
        insert(self._db, [event._replace(body="{}")])
        if event.kind == "held":
            _bounds(body)
        if event.kind in ("docked", "docking-rebuilt"):  # a document told of it before, perhaps
            self._db.execute("DELETE FROM dockings WHERE id = ?", (body["docking"],))
        if not replay.retention(self._db, event):
            raise ValueError(event.seq)
        self._of_a_clip(event, body)

    def _of_a_clip(self, event: Event, body: Mapping[str, Any]) -> None:
        if event.kind in ("stored", "rebuilt"):
            if "key" in body or event.kind == "rebuilt":  # not of one that is only sent again
                self._db.execute("INSERT OR REPLACE INTO stored VALUES (?, ?)", (event.clip, body.get("key")))
                if self._described:
                    self.unknown.add(body.get("key"))
                    self._all_named()
        elif event.kind == "merged":
            self._db.execute("DELETE FROM stored WHERE clip = ?", (event.clip,))
            self._db.execute(_CLIP, {**_NOBODYS, "clip": event.clip, "into": body["into"]})
        elif event.kind in ("important", "named") and body["important"]:
            self._important.add(event.clip)
            self._db.execute("UPDATE clips SET important = 1 WHERE id = ?", (event.clip,))
        if event.clip is not None and body.get("to"):
            self._db.execute("UPDATE clips SET state = ? WHERE id = ?", (body["to"], event.clip))

    def _describe(self, told: Mapping[str, Any]) -> None:
        clip, docking = int(told["clip"]), int(told["docking"])
        important = bool(told["important"]) or clip in self._important
        digest = bytes.fromhex(told["sha256"] or "")
        self._db.execute(_CLIP, {**told, "important": important, "sha256": digest, "into": None})
        if told.get("docked") is not None:  # stations of before did not tell
            facts = (docking, told["recorder"], float(told["docked"]), bool(told["docked_trusted"]))
            self._db.execute(f"{_DOCKING} VALUES (?, '', ?, '', '', ?, ?)", facts)
        elif not self._db.execute("SELECT 1 FROM dockings WHERE id = ?", (docking,)).fetchone():
            raise KeyError(docking)


def _tables() -> sqlite3.Connection:
    """On disk, if it grows; gone with the process."""
    db = sqlite3.connect("", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA journal_mode = MEMORY")
    for _, _, script in migrate.steps():
        db.executescript(script)
    guards = "SELECT type, name FROM sqlite_schema WHERE type = 'trigger' OR name LIKE 'clips_one_%'"
    for kind, name in db.execute(guards).fetchall():  # they judge writers, and this is what was written
        db.execute(f"DROP {kind} {name}")
    db.execute("CREATE INDEX clips_key ON clips (key)")
    db.execute("CREATE TABLE stored (clip INTEGER PRIMARY KEY, key TEXT)")
    return db


def _bounds(hold: Mapping[str, Any]) -> None:
    """Raises ValueError unless they are local times: else nobody could compare them."""
    for bound in filter(None, (hold["since"], hold["until"])):
        if datetime.fromisoformat(bound).tzinfo is not None:
            raise ValueError(bound)
