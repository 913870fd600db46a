"""What is kept in order for each target is what the rule says, whatever happens to clips and deliveries."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.catalog import deliveries, door, intake, priority, waiting
from agent.errors import Reject, WrongState
from agent.model import ClipState, Problem
from tests.unit.test_upload_deliveries import act
from tests.uploading import WHO, Station, manifest_of

TARGETS = ("centre", "mirror")
PLACES = ("first disk", "second disk")
NOT_NOW = (WrongState, Reject)  # what a story asks for may not be possible at that moment
WHY = Problem("receipt-differs", {})
STEPS = {
    "begin": ("begin",),
    "vouch": ("begin", "sent", "confirmed"),
    "refuse": ("rejected",),
    "resend": ("begin", "sent", "resend"),
    "retry": ("retry",),
}
NUMBERS = itertools.count()

one_step = st.one_of(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 2), st.sampled_from(TARGETS)),
    st.tuples(st.just("place"), st.sampled_from(TARGETS), st.sampled_from(PLACES)),
    st.tuples(st.just("without"), st.sampled_from(TARGETS)),
    st.tuples(
        st.sampled_from(("now", "important", "quarantine", "again", "forget", "rebuilt")), st.integers(0, 2)
    ),
)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    made = Station(tmp_path_factory.mktemp("waiting"))
    yield made
    made.close()


def kept(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.execute("SELECT * FROM waiting ORDER BY target, clip")]


def ruled(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.execute("SELECT * FROM due ORDER BY target, clip")]


def follow(station: Station, targets: dict[str, str]) -> None:
    for name in targets:
        station.catalog.write(partial(waiting.follow, target=name, targets=targets))


class Story:
    """Three clips, and the targets as they are configured at the moment."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.targets = dict.fromkeys(TARGETS, PLACES[0])
        follow(station, self.targets)
        name = next(NUMBERS)
        self.clips = [station.store(f"{name}-{n}.mp4", f"{name}-{n}".encode()) for n in range(3)]

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case "place", target, place:
                self.targets[target] = place
                follow(self.station, self.targets)
            case "without", target if len(self.targets) > 1:
                self.targets.pop(target, None)
                follow(self.station, self.targets)
            case ((("now" | "important" | "quarantine" | "again" | "forget" | "rebuilt") as what), number):
                self.station.catalog.write(lambda tx: self._of_clip(tx, what, self.clips[number]))
            case what, number, target if target in self.targets:
                for one in STEPS[what]:
                    act(self.station, self.clips[number], one, target, self.targets)

    def _of_clip(self, tx: sqlite3.Connection, what: str, clip: int) -> None:
        match what:
            case "now":
                priority.first(tx, clip, "uid 0")
            case "important":
                tx.execute("UPDATE clips SET important = 1 - important WHERE id = ?", (clip,))
            case "quarantine":
                deliveries.quarantined(tx, clip, WHY)
            case "again":
                _read_again(tx, clip)
            case "forget":  # as when a recorder brought another content
                tx.execute("DELETE FROM deliveries WHERE clip = ?", (clip,))
            case "rebuilt":
                _rebuild(tx, clip)


def _read_again(tx: sqlite3.Connection, clip: int) -> None:
    """A quarantined clip that its recorder still has."""
    docking = intake.begin_docking(tx, "A1", WHO)
    intake.see_again(tx, clip, ClipState.QUARANTINED, docking)
    intake.start(tx, [clip], docking)
    row = tx.execute("SELECT key FROM clips WHERE id = ?", (clip,)).fetchone()
    intake.describe(tx, clip, manifest_of(f"again {clip} {next(NUMBERS)}".encode()), row[0], b"")
    intake.store(tx, [clip])


def _rebuild(tx: sqlite3.Connection, clip: int) -> None:
    """One more clip, which is stored from its first event on."""
    columns = (
        "recorder, fs_id, path, size, mtime_ns, docking, seen_at, kind, important, assigned, officer,"
        " time_source, name_parsed"
    )
    row = tx.execute(f"SELECT {columns} FROM clips WHERE id = ?", (clip,)).fetchone()
    door.begin(tx, "rebuilt", {**dict(zip(columns.split(", "), row, strict=True)), "state": ClipState.STORED})


@settings(max_examples=60)
@given(steps=st.lists(one_step, max_size=20))
@example([("refuse", 0, "centre"), ("place", "centre", "second disk"), ("refuse", 0, "centre")])
@example([("vouch", 0, "centre"), ("forget", 0)])
def test_what_is_kept_is_what_the_rule_gives(station: Station, steps: list[tuple[Any, ...]]) -> None:
    story = Story(station)
    for step in steps:
        with contextlib.suppress(*NOT_NOW):
            story.do(step)
        db = station.catalog.read()
        assert kept(db) == ruled(db), step
