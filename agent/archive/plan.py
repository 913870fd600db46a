"""What may go from a store, and what keeps the rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agent.archive import clips
from agent.archive.judge import Judge, Verdict
from agent.archive.stations import Station, Stations
from agent.archive.store import Store
from agent.errors import Stop
from agent.model import Lock
from agent.retention.rules import Rule

_EXAMPLES = 3  # of each reason
_CLOCKS = 60.0  # seconds by which our clock and the store's may differ


@dataclass(frozen=True, slots=True)
class Going:
    key: str
    sha256: str
    size: int  # bytes of all versions, with the manifest's
    until: float  # seconds since the epoch, up to which it was kept
    rule: str
    held: bool = False  # under a legal hold at the centre


@dataclass
class Reason:
    """Why clips stay. `first`: keys of a few of them."""

    clips: int = 0
    size: int = 0  # bytes
    first: list[str] = field(default_factory=list)

    def count(self, key: str, size: int) -> None:
        self.clips += 1
        self.size += size
        if len(self.first) < _EXAMPLES:
            self.first.append(key)


@dataclass
class Plan:
    place: str
    made_at: float  # seconds since the epoch
    going: list[Going] = field(default_factory=list)
    kept: dict[str, Reason] = field(default_factory=dict)  # by key of the words

    @property
    def clips(self) -> int:
        """All that lie there."""
        return len(self.going) + sum(reason.clips for reason in self.kept.values())

    @property
    def size(self) -> int:
        """Bytes of what may go."""
        return sum(one.size for one in self.going)

    @property
    def percent(self) -> float:
        return 100 * len(self.going) / self.clips if self.clips else 0.0

    def rules(self) -> dict[str, int]:
        """How many go by which rule, that kept them last."""
        return dict(Counter(one.rule for one in self.going))


class Archive:
    """`now`: seconds since the epoch, by the clock of this machine. `check` is called often."""

    def __init__(
        self,
        store: Store,
        extra: Sequence[Rule],
        now: Callable[[], float],
        silent: float,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.store, self.check = store, check
        self.stations = Stations(store, silent, check)
        self._extra, self._now = extra, now

    def now(self) -> float:
        """A time by which something may go: that of two clocks that agree. Raises Stop."""
        ours, theirs = self._now(), self.store.now()
        if abs(ours - theirs) > _CLOCKS:
            raise Stop("target-clock-differs", seconds=abs(ours - theirs))
        return min(ours, theirs)

    def judge(self) -> Judge:
        """By what stations tell now."""
        now = self.now()
        self.stations.refresh(now)
        return Judge(self.stations, self._extra, now)

    def plan(self) -> Plan:
        """Reads only."""
        plan = Plan(self.store.place(), self.now())
        judge = self.judge()
        for one in clips.lying(self.store):
            self.check()
            verdict, sha256 = self._verdict(judge, one)
            if not verdict.keeps:
                lock = self.locked(one.key)
                if lock.until > plan.made_at:
                    verdict = Verdict("locked", lock.until)
                elif lock.hold and not verdict.ours:
                    verdict = Verdict("held-at-centre")
                else:
                    facts = (one.size, verdict.until, verdict.rule, lock.hold)
                    plan.going.append(Going(one.key, sha256, *facts))
                    continue
            plan.kept.setdefault(verdict.keeps, Reason()).count(one.key, one.size)
        return plan

    def locked(self, key: str) -> Lock:
        """Under what the store itself keeps anything of the clip."""
        both = [self.store.kept(path) for path in clips.paths(key)]
        return Lock(max(lock.until for lock in both), any(lock.hold for lock in both))

    def _verdict(self, judge: Judge, one: clips.Lying) -> tuple[Verdict, str]:
        """With the SHA-256 that the manifest tells."""
        sidecar = clips.manifest(self.store, one.key) if one.has_manifest else None
        if sidecar is None:
            return Verdict("no-manifest"), ""
        return judge.verdict(sidecar), sidecar.sha256


def unreadable(stations: Iterable[Station]) -> list[str]:
    """Stations of whose story something is lost: it may have told of holds on clips of others."""
    lost = ("story-gap", "story-damaged", "story-missing")
    return [station.id for station in stations if station.doubt in lost]
