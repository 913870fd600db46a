"""What the agent has said, kept over its crashes: none of it may be untrue, then or later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.model import COLLECTED, ClipState
from agent.status.shape import StatusShape

_FAR = {ClipState.CONFIRMED: 2, ClipState.RELEASED: 2, ClipState.MERGED: 2}
NEVER = (ClipState.QUARANTINED, ClipState.MISSING, ClipState.REJECTED)


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass
class Promises:
    store: Path
    centre: Path
    settled: int = 0  # every clip up to this id needs no more look before the next start
    _clips: dict[int, tuple[int, str, str]] = field(default_factory=dict)  # id -> (how far, key, digest)
    _confirmed: int = 0
    _seen: int = 0

    def hear(self, status: StatusShape) -> None:
        counts = status["clips"]
        confirmed, total = counts[ClipState.CONFIRMED], sum(counts.values())
        for what, now, before in (("confirmed", confirmed, self._confirmed), ("known", total, self._seen)):
            if now < before:
                raise Broken(f"{before} clips were {what}, now {now} are")
        for state in NEVER:
            if counts[state]:
                raise Broken(f"{counts[state]} clips are {state}")
        for slot in status["slots"]:
            if wrong := [problem for problem in slot["problems"] if problem["key"] == "internal"]:
                raise Broken(f"slot {slot['slot']}: {wrong}")
        self._confirmed, self._seen = confirmed, total

    def hear_clips(self, rows: Sequence[Mapping[str, Any]], after: int) -> None:
        """`rows`: every clip with an id above `after`."""
        told = {row["id"]: row for row in rows}
        if gone := [clip for clip in self._clips if clip > after and clip not in told]:
            raise Broken(f"clips {gone} are not known any more")
        for clip, row in told.items():
            self._hear_clip(clip, row)
        settled = after
        for clip in sorted(told):
            if told[clip]["state"] not in _FAR:
                break
            settled = clip
        self.settled = settled

    def _hear_clip(self, clip: int, row: Mapping[str, Any]) -> None:
        state = ClipState(row["state"])
        now = _FAR.get(state, 1 if state in COLLECTED else 0)
        before, *same = self._clips.get(clip, (0, "", ""))
        if now < before:
            raise Broken(f"clip {clip} was further than it is now: {dict(row)}")
        if now == 0 or state is ClipState.MERGED:
            self._clips[clip] = (now, "", "")
            return
        if before and same != [row["key"], row["sha256"]]:
            raise Broken(f"clip {clip} was {same}, now it is {dict(row)}")
        if now > before:
            self._look(row, self.store, "stored")
            if now == _FAR[ClipState.CONFIRMED]:
                self._look(row, self.centre, "confirmed")
            self._clips[clip] = (now, row["key"], row["sha256"])

    def _look(self, row: Mapping[str, Any], folder: Path, said: str) -> None:
        path = folder / "clips" / row["key"]
        if not path.is_file() or path.stat().st_size != row["size"]:
            raise Broken(f"clip {row['id']} is said to be {said}, and {path} is not it")
