"""A catalog with a million clips behind it: every row that a station would have written, without the
station. The schema is the real one; its triggers rest while the rows are put in."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from agent.catalog.home import catalog_path
from agent.catalog.migrate import migrate, steps
from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench

TARGET = "centre"
PLACE = "11111111-0000-4000-8000-000000000000"  # which store it was; no station of a benchmark meets it again
_CARD = 50  # clips of one docking
_SIZE = 200 << 20  # bytes of a clip
_PART = 8 << 20
_BOOT = "00000000-0000-4000-8000-000000000000"
_FIRST = datetime(2021, 1, 1, tzinfo=UTC)
_KEPT = 0.02  # share that still lies on the station; the rest was released
_AT_ONCE = 200  # dockings
_STEPS = ("copying", "stored", "uploading", "uploaded", "confirmed")

Row = tuple[Any, ...]
TABLES = {
    "events": "seq, clip, kind, body, at, boot_id, clock_trusted",
    "dockings": "id, slot, recorder, fs_id, officer, started, ended, outcome",
    "clips": "id, state, event, recorder, fs_id, path, size, mtime_ns, docking, seen_at, kind, important,"
    " assigned, officer, sequence, recorded_at, time_source, name_parsed, partial, key, sha256, stored_at",
    "manifests": "clip, part_size, parts, unreadable",
    "names": "id, recorder, fs_id, path, size, mtime_ns, samples, clip",
    "deliveries": "clip, target, state, token, place, receipt, updated, asked",
}


def build(path: Path, clips: int, recorders: int = 400) -> None:
    """Write a catalog of `clips` clips to `path`, as an agent leaves it after a clean stop."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        migrate(db, path)
        with _triggers_rest(db):
            _fill(db, clips, recorders)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def events(clips: int, recorders: int = 400) -> Iterator[Row]:
    """Those of as many clips, in their order."""
    for card in _cards(clips, recorders):
        yield from card["events"]


def let_all_wait(path: Path) -> None:
    """As if every clip waited for another target, which has been away for years."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        with _triggers_rest(db):
            db.execute("UPDATE clips SET state = 'stored'")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def let_all_be_confirmed(path: Path, now: float, proved: int) -> None:
    """As if no clip had ever been let go, and the centre had proved just now that it has `proved` of them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        with _triggers_rest(db):
            db.execute("UPDATE clips SET state = 'confirmed'")
            db.execute(
                "UPDATE deliveries SET asked = ?, proved = ? WHERE clip IN"
                " (SELECT id FROM clips ORDER BY id LIMIT ?)",
                (now, now, proved),
            )
            bound = json.dumps({"address": "", "place": PLACE})
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"target:{TARGET}", bound))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def let_others_stay(path: Path, now: float, due: int) -> None:
    """As if the centre had confirmed all but the first `due` of them just now, so that only those may go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        (last,) = db.execute(
            "SELECT max(id) FROM (SELECT id FROM clips ORDER BY id LIMIT ?)", (due,)
        ).fetchone()
        with _triggers_rest(db):
            db.execute(
                "UPDATE events SET at = ? WHERE seq IN (SELECT event FROM clips WHERE id > ?)", (now, last)
            )
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _triggers_rest(db: sqlite3.Connection) -> Iterator[None]:
    """Those that count, too; so all is counted afterwards."""
    rests = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in rests:
        db.execute(f"DROP TRIGGER {name}")
    yield
    db.execute("DELETE FROM clip_counts")
    db.execute("INSERT INTO clip_counts SELECT state, count(*), sum(size) FROM clips GROUP BY state")
    for _, sql in rests:
        db.execute(sql)


def lay(bench: Bench, store: Path) -> int:
    """Give an empty store a catalog of a million clips; return how many there are. Built once for all
    scenarios, and for later runs where the folder is kept."""
    clips = 5_000 if bench.quick else 1_000_000
    made_from = b"".join(sql.encode() for _, _, sql in steps()) + Path(__file__).read_bytes()
    built = bench.folder / f"catalog-{clips}-{hashlib.sha256(made_from).hexdigest()[:12]}.db"
    if not built.exists():
        bench.say(f"building a catalog of {clips:,} clips ...")
        with scratch(bench.folder, "catalog") as folder:
            build(folder / built.name, clips)
            (folder / built.name).rename(built)
    catalog_path(store).parent.mkdir()
    shutil.copy(built, catalog_path(store))
    return clips


def _fill(db: sqlite3.Connection, clips: int, recorders: int) -> None:
    cards = _cards(clips, recorders)
    while several := list(islice(cards, _AT_ONCE)):
        db.execute("BEGIN")
        for table, columns in TABLES.items():
            marks = ", ".join("?" * len(columns.split(",")))
            rows = (row for card in several for row in card[table])
            db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        db.execute("COMMIT")


def _cards(clips: int, recorders: int) -> Iterator[dict[str, list[Row]]]:
    """The rows of each docking."""
    released = round(clips * (1 - _KEPT))
    sequence = 1
    for number, begin in enumerate(range(0, clips, _CARD)):
        card = _Card(number, number % recorders, sequence, begin, min(_CARD, clips - begin), begin < released)
        yield card.rows
        sequence = card.sequence


class _Card:
    """One docking of one recorder, from its first event to the last of its clips."""

    def __init__(
        self, number: int, recorder: int, sequence: int, begin: int, count: int, released: bool
    ) -> None:
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self.sequence = sequence
        self._docking = number + 1
        self._recorder = f"{recorder:07}"
        self._fs_id = f"{recorder:04X}-BE7C"
        self._day = _FIRST + timedelta(minutes=2 * number)
        self._at = self._day.timestamp()
        slot = f"A{number % 16:02}"
        docked = {"docking": self._docking, "slot": slot, "recorder": self._recorder, "fs_id": self._fs_id,
                  "votes": [["names", self._recorder], ["label", self._recorder]],
                  "conflict": False}  # fmt: skip
        self._event(None, "docked", docked)
        seen = [self._seen(f"DCIM/100MEDIA/{self._name(begin + at)}.mp4") for at in range(count)]
        self._walk(seen, begin, released)
        self._event(None, "undocked", {"docking": self._docking, "outcome": "collected"})
        self.rows["dockings"].append(
            (self._docking, slot, self._recorder, self._fs_id, "000001", self._at, self._at + 60, "collected")
        )

    def _name(self, clip: int) -> str:
        return f"{self._recorder}_000001_{self._day:%Y%m%d%H%M%S}_{clip % 10000:04}"

    def _event(self, clip: int | None, kind: str, body: dict[str, Any]) -> int:
        sequence = self.sequence
        text = json.dumps(body, separators=(",", ":"))
        self.rows["events"].append((sequence, clip, kind, text, self._at, _BOOT, 1))
        self.sequence += 1
        return sequence

    def _seen(self, path: str) -> tuple[int, str]:
        clip = self.sequence
        self._event(clip, "seen", {"from": None, "to": "seen", "path": path, "docking": self._docking})
        return clip, path

    def _walk(self, seen: list[tuple[int, str]], begin: int, released: bool) -> None:
        digests = [hashlib.sha256(b"%d" % (begin + at)).digest() for at in range(len(seen))]
        steps = (*_STEPS, *(("released",) if released else ()))
        last = dict.fromkeys((clip for clip, _ in seen), 0)
        for old, new in zip(("seen", *steps), steps, strict=False):
            for (clip, path), digest in zip(seen, digests, strict=True):
                facts = self._facts(new, self._key(path, digest), digest)
                last[clip] = self._event(clip, new, {"from": old, "to": new, **facts})
        for at, ((clip, path), digest) in enumerate(zip(seen, digests, strict=True)):
            self._rows_of(clip, path, digest, steps[-1], last[clip], begin + at)

    def _facts(self, state: str, key: str, digest: bytes) -> dict[str, Any]:
        match state:
            case "copying":
                return {"docking": self._docking}
            case "stored":
                return {"key": key, "size": _SIZE, "sha256": digest.hex(), "partial": False}
            case "confirmed":
                return {"target": TARGET, "receipt": self._receipt(key, digest)}
            case _:
                return {"target": TARGET}

    def _receipt(self, key: str, digest: bytes) -> dict[str, Any]:
        return {"location": key, "size": _SIZE, "sha256": digest.hex(), "at": self._at, "place": PLACE}

    def _key(self, path: str, digest: bytes) -> str:
        stem = path.rpartition("/")[2].removesuffix(".mp4")
        return f"{self._recorder}/{self._day:%Y-%m-%d}/{stem}.{digest.hex()[:16]}.mp4"

    def _rows_of(self, clip: int, path: str, digest: bytes, state: str, event: int, number: int) -> None:
        key, mtime = self._key(path, digest), round(self._at) * 10**9
        card = (self._recorder, self._fs_id, path.encode(), _SIZE, mtime)
        self.rows["clips"].append(
            (clip, state, event, *card, self._docking, self._at, "video", 0, 1, "000001", number % 10000,
             self._day.replace(tzinfo=None).isoformat(), "name", 1, 0, key, digest, self._at)
        )  # fmt: skip
        self.rows["manifests"].append((clip, _PART, digest * (_SIZE // _PART), "[]"))
        self.rows["names"].append((number + 1, *card, digest, clip))
        receipt = json.dumps(self._receipt(key, digest))
        asked = None if state == "released" else self._at
        self.rows["deliveries"].append((clip, TARGET, "confirmed", "token", PLACE, receipt, self._at, asked))
