"""Whether a clip at the centre may go: only when no rule and no hold of any station keeps it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.archive.replica import Replica
from agent.archive.stations import Station
from agent.catalog.holds import CLIP, Hold
from agent.catalog.retained import Row
from agent.catalog.sidecar import Sidecar
from agent.model import ClipState
from agent.retention.decide import Kept
from agent.retention.keeping import Keeping
from agent.retention.rules import Rule

#: A station has nothing more to do at the centre with a clip in one of these states.
_SETTLED = {ClipState.CONFIRMED, ClipState.RELEASED, ClipState.QUARANTINED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`keeps`: why it stays, a key of the words; empty when it may go. `until`: seconds since the epoch,
    `math.inf` for ever, with the `rule` that says so. `by`: the station or the hold that keeps it."""

    keeps: str
    until: float = math.inf
    rule: str = ""
    by: str = ""
    ours: bool = False  # a legal hold at the centre can be a station's
    heard: float = 0.0  # of the stations that know the clip, when each of them had told all, by its clock


@dataclass(frozen=True, slots=True)
class _Told:
    """A clip as one story tells it."""

    station: Station
    story: Replica
    row: Row


class Judge:
    """By what was read of the stations when it was made. `extra`: the archive's own rules."""

    def __init__(self, stations: Iterable[Station], extra: Sequence[Rule], now: float) -> None:
        self.now = now
        self._stories = [(station, story) for station in stations for story in station.protecting()]
        stories = [story for _, story in self._stories]
        rules = dict.fromkeys(rule for story in stories for rule in story.rules())
        self._keeping = Keeping([_of_all(rule) for rule in (*rules, *extra)])
        self._holds = [(story, hold) for story in stories for hold in story.holds()]

    def verdict(self, sidecar: Sidecar) -> Verdict:
        """`sidecar`: what the manifest beside the clip says."""
        told = [
            _Told(station, story, row) for station, story in self._stories for row in story.rows(sidecar.key)
        ]
        if doubt := self._doubt(told, sidecar.key):
            return doubt
        if not told:
            return Verdict("untold")
        if any(one.story.sha256(one.row.id) != sidecar.sha256 for one in told):
            return Verdict("told-otherwise")
        if (hold := self._held(told, _row(sidecar))) is not None:
            return Verdict("held", by=str(hold.id))
        if unsettled := next((one for one in told if one.row.state not in _SETTLED), None):
            return Verdict("under-way", by=unsettled.station.id)
        kept = max((self._kept(one) for one in told), key=lambda kept: kept.until)
        rule = kept.by.name if kept.by else ""
        if kept.until > self.now:
            return Verdict("kept-by-rule", kept.until, rule)
        ours = any(one.story.was_kept_for_ever(one.row) for one in told)
        heard = min(one.station.written_at or 0.0 for one in told)
        return Verdict("", kept.until, rule, ours=ours, heard=heard)

    def _doubt(self, told: Sequence[_Told], key: str) -> Verdict | None:
        """Of a station that is in doubt, or that has stored the clip just now."""
        if doubtful := next((one.station for one in told if one.station.doubt), None):
            return Verdict(doubtful.doubt, by=doubtful.id)
        for station, story in self._stories:
            if key in story.unknown:
                return Verdict("story-gap", by=station.id)
        return None

    def _held(self, told: Sequence[_Told], manifest: Row) -> Hold | None:
        """A hold on a clip speaks of the numbers of its own story; every other one of all that match it."""
        for story, hold in self._holds:
            rows = [one.row for one in told if hold.scope != CLIP or one.story is story]
            if any(hold.covers(row) for row in rows) or (hold.scope != CLIP and hold.covers(manifest)):
                return hold
        return None

    def _kept(self, one: _Told) -> Kept:
        began = one.story.began(one.row, self.now)
        return self._keeping.at_centre(one.row, began, self.now)


def _of_all(rule: Rule) -> Rule:
    """No roster lies at the centre: a rule for a unit, or a kind of source, protects clips of all."""
    return replace(rule, unit=frozenset(), source=frozenset())


def _row(sidecar: Sidecar) -> Row:
    """What the manifest tells, as a station's catalog would."""
    return Row(
        id=-1, state="", recorder=sidecar.recorder, officer=sidecar.officer, labelled_officer="",
        important=sidecar.important, category="", case="", case_closed=0, recorded_at=sidecar.recorded_at,
        docked=sidecar.docking.started, trusted=sidecar.docking.clock_trusted, ahead_low=None,
        ahead_high=None, confirmed=None, changed_trusted=0, event=0, size=sidecar.size, key=sidecar.key,
    )  # fmt: skip
