"""The dockings that brought the clips of a package: when, and in which slot, a recorder was handed over."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.catalog import brought
from agent.catalog.chosen import Clip
from agent.custody.log.leaf import Event

Stories = Mapping[int, Sequence[Event]]  # every event of each clip


@dataclass(frozen=True, slots=True)
class Docking:
    """`kept_back`: it has ended, and the event of that would tell more of other clips than their number."""

    id: int
    clips: tuple[int, ...]
    docked: Event
    undocked: Event | None
    compared: Event | None
    kept_back: bool

    @property
    def events(self) -> list[Event]:
        return [one for one in (self.docked, self.undocked, self.compared) if one is not None]

    @property
    def told(self) -> dict[str, int | None]:
        """As `export.json` tells it: numbers of events."""
        ends = (one.seq if one else None for one in (self.undocked, self.compared))
        return {
            "docking": self.id,
            "docked": self.docked.seq,
            **dict(zip(("undocked", "compared"), ends, strict=True)),
        }


def of_clips(db: sqlite3.Connection, clips: Sequence[Clip], stories: Stories) -> list[Docking]:
    """Those that the clips' events name. Of a catalog that was rebuilt they name none."""
    named = dict[int, dict[int, list[int]]]()  # docking → clip → events
    for clip in clips:
        for seq, docking in _named(stories[clip.id]):
            named.setdefault(docking, {}).setdefault(clip.id, []).append(seq)
    found = (
        _docking(db, docking, [one for one in clips if one.id in by], by) for docking, by in named.items()
    )
    return sorted((one for one in found if one is not None), key=lambda one: one.docked.seq)


def _named(story: Iterable[Event]) -> Iterator[tuple[int, int]]:
    """(event, docking that it names)."""
    for event in story:
        docking = json.loads(event.body).get("docking")
        if isinstance(docking, int):
            yield event.seq, docking


def _docking(
    db: sqlite3.Connection, docking: int, clips: Sequence[Clip], named: Mapping[int, Sequence[int]]
) -> Docking | None:
    seqs = [seq for each in named.values() for seq in each]
    begun = brought.docked(db, docking, min(seqs))
    if begun is None:
        return None
    ended, compared = brought.undocked(db, docking, max(seqs)), brought.compared(db, docking, max(seqs))
    wide = ended is not None and _tells_of_others(json.loads(ended[3]), clips)
    return Docking(
        docking,
        tuple(named),
        Event(*begun),
        Event(*ended) if ended and not wide else None,
        Event(*compared) if compared else None,
        wide,
    )


def _tells_of_others(body: Mapping[str, Any], clips: Sequence[Clip]) -> bool:
    """Whether the span of time of all clips of the docking is wider than that of `clips`: the first or the
    last recording is another one, and when that was is nobody's business here."""
    times = sorted(clip.recorded_at for clip in clips if clip.recorded_at)
    ends = [body.get(name) for name in ("recorded_from", "recorded_to")]
    return any(end is not None and not (times and times[0] <= end <= times[-1]) for end in ends)
