"""One target's share of the work: which clip next, which wait after a failure, how the target fares.

No threads and no clock of its own: the scheduler calls it under its lock and says what time it is.
"""

import random
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from agent.catalog import deliveries, priority, reconfirm, waiting
from agent.catalog.deliveries import PlaceChanged, ReceiptDiffers
from agent.errors import Retry, StationError, TargetFull
from agent.model import Problem
from agent.upload.breaker import Breaker, BreakerState
from agent.upload.retry import Backoff
from agent.upload.targets.base import Target
from agent.upload.targets.short import Short

#: In place of a clip's id: ask the target who it is. That comes first, even when no clip is due.
GREETING = 0
#: In place of a clip's id: clear away what was begun there and will not be gone on with.
SWEEPING = -1
Rank = tuple[int, int]  # as of agent.catalog.priority
_SWEEP = 86400.0  # seconds between two
_QUESTIONS = 10  # clips carried, after which a question has its turn although more clips wait
#: Short clips on one errand: many enough that what they share costs each little, and few enough bytes that a
#: slow line has sent them within minutes. As many may go to a store that is exchanged at that moment.
_HANDFUL = 32
_HANDFUL_BYTES = 4 << 20
#: What was sent came to nothing: sending it again at once would only do the same again.
_IN_VAIN = frozenset({"not-there", "token-lost", "target-damaged"})


class Errand(StrEnum):
    GREET = "greet"
    CARRY = "carry"  # a clip to the target
    ASK = "ask"  # whether the target still has a clip
    SWEEP = "sweep"  # transfers that nobody goes on with


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """How one target fares."""

    breaker: BreakerState
    greeted: bool  # it has said who it is: before that it gets no clip
    problem: Problem | None  # of the last failure; None after a success
    in_flight: tuple[int, ...]  # ids of clips


@dataclass(frozen=True, slots=True)
class Again:
    """Which clips to ask for again: those that were vouched for before `before`. Both are wall time."""

    before: float
    wall: float


@dataclass(frozen=True, slots=True)
class Now:
    """What holds for all targets at this moment."""

    at: float  # monotonic
    least: Rank = (0, 0)  # clips below it wait
    again: Again | None = None  # None: nothing is asked for


@dataclass(frozen=True, slots=True)
class _Wait:
    failures: int
    until: float
    answers: int  # of the target, when the clip failed


class Lane:
    def __init__(self, target: Target, backoff: Backoff, rng: random.Random, most: int) -> None:
        """`most`: how many uploaders it may have at once."""
        self.target = target
        self._backoff = backoff
        self._rng = rng
        self._most = most
        self._breaker = Breaker(rng)
        self._greeted = False
        self._busy: dict[int, int] = {}  # clip, or in place of one → the errand's first
        self._waits: dict[int, _Wait] = {}
        self._answers = 0
        self._carried = 0  # since the last question
        self._sweep_at = 0.0

    def take(self, db: sqlite3.Connection, place: str, now: Now) -> tuple[Errand, int] | None:
        """What to do now, for which clip; one of the calls below must follow when it is done with."""
        if len(set(self._busy.values())) >= self._most or not self._breaker.allows(now.at):
            return None
        taken = self._errand(db, place, now)
        if taken is None:
            self._forget_who_left(now.at)
        else:
            self._breaker.taken(taken[1], decides=self._decides(db, place, taken[0]))
            self._busy[taken[1]] = taken[1]
        return taken

    def along(self, db: sqlite3.Connection, place: str, now: Now, first: int) -> list[int]:
        """Clips that may go on the same errand as `first`, which was just taken: those that come next, are
        as urgent, short, and new to the target. One of the calls below must follow for each."""
        found = list[int]()
        if not isinstance(self.target, Short) or self._breaker.state(now.at) is not BreakerState.CLOSED:
            return found
        size, rank = self._fresh(db, first)
        room, clip = _HANDFUL_BYTES - size, self._due(db, place, self._not_now(now.at), rank)
        while size and clip is not None and len(found) + 1 < _HANDFUL:
            size, other = self._fresh(db, clip)
            if not size or size > room or other != rank:
                break
            self._busy[clip] = first
            found.append(clip)
            room, clip = room - size, self._due(db, place, self._not_now(now.at), rank)
        self._carried += len(found)
        return found

    def gives_way(
        self, db: sqlite3.Connection, place: str, now: Now, clip: int, *, begun: bool = True
    ) -> bool:
        """Whether `clip`, which is on its way, is to wait: for its hours, or for a clip that somebody asked
        for meanwhile. One of a handful, of which nothing is sent yet (not `begun`), also for a clip that is
        important where it is not."""
        rank, state = priority.rank(db, clip), self._breaker.state(now.at)
        if rank < now.least or state is BreakerState.OPEN:
            return rank < now.least
        # Only for one that `_next` would take then: else both would wait for each other for ever.
        half = state is BreakerState.HALF_OPEN
        besides = self._busy.keys() | self._waits if half else self._not_now(now.at)
        before_it = (rank[0] + 1, 0) if begun else (rank[0], rank[1] + 1)
        return self._due(db, place, besides, before_it) is not None

    def hurry(self, clip: int) -> None:
        """Somebody asked for it: it does not wait for another try."""
        self._waits.pop(clip, None)

    def greeted(self) -> None:
        """The target said who it is."""
        self._greeted = True
        self.settled(GREETING)

    def again(self) -> None:
        """Somebody has mended something: the target is tried at once, and so is every clip."""
        self._waits.clear()
        self._breaker.forgive()

    def swept(self, now: float) -> None:
        self._sweep_at = now + _SWEEP
        self.asked(SWEEPING)

    def settled(self, clip: int) -> None:
        """The target answered, and this clip needs nothing more of it for now."""
        self._answered()
        self._leave(clip)

    def asked(self, clip: int) -> None:
        """The target answered a question, whatever it said."""
        if not self._breaker.refuses_clips:
            self._answers += 1
        self._breaker.answered(clip)
        self._leave(clip)

    def left(self, clip: int) -> None:
        """The clip is not to be carried after all; that tells nothing about the target."""
        self._breaker.released(clip)
        self._leave(clip)

    def put_off(self, clip: int, now: float) -> None:
        """Try this clip again later; that tells nothing about the target."""
        self._breaker.released(clip)
        self._wait(clip, now, None)

    def failed(
        self,
        clip: int,
        error: StationError,
        now: float,
        *,
        progressed: bool = False,
        question: bool = False,
    ) -> None:
        """`progressed`: it took a part before it failed, so a long clip on a bad link is not punished.
        `question`: nothing was to be sent."""
        if isinstance(error, PlaceChanged):
            self._greeted = False
        full = isinstance(error, TargetFull)
        if progressed and not full and not isinstance(error, ReceiptDiffers) and error.key not in _IN_VAIN:
            self._answered()
            self._waits.pop(clip, None)
        before = self._waits.get(clip)
        others_passed = before is not None and before.answers != self._answers
        self._breaker.failed(clip, error, now, suspect=others_passed, clip=not question)
        if full and not others_passed:
            self._waits.pop(clip, None)  # it is not to blame: it waits as long as the target, no longer
        self._wait(clip, now, error.retry_after if isinstance(error, Retry) else None)

    def next_look(self, now: float) -> float | None:
        """When there may be something to do without anybody saying so; None when never."""
        if self._breaker.state(now) is BreakerState.OPEN:
            return self._breaker.retry_at()
        return min((wait.until for wait in self._waits.values() if wait.until > now), default=None)

    def facts(self, now: float) -> TargetFacts:
        clips = tuple(sorted(self._busy.keys() - {GREETING, SWEEPING}))
        return TargetFacts(self._breaker.state(now), self._greeted, self._breaker.problem, clips)

    def _errand(self, db: sqlite3.Connection, place: str, now: Now) -> tuple[Errand, int] | None:
        if not self._greeted:
            return (Errand.GREET, GREETING) if self._greeting(now.at) else None
        closed = self._breaker.state(now.at) is BreakerState.CLOSED
        if closed and self._carried >= _QUESTIONS and (question := self._question(db, place, now)):
            return question
        if (clip := self._next(db, place, now)) is not None:
            self._carried += 1
            return Errand.CARRY, clip
        return self._question(db, place, now)

    def _question(self, db: sqlite3.Connection, place: str, now: Now) -> tuple[Errand, int] | None:
        self._carried = 0
        not_now = self._not_now(now.at)
        if now.at >= self._sweep_at and SWEEPING not in not_now:
            return Errand.SWEEP, SWEEPING
        if now.again is None:
            return None
        clip = reconfirm.next_to_ask(
            db, self.target.name, place, now.again.before, now.again.wall, not_now.__contains__
        )
        return None if clip is None else (Errand.ASK, clip)

    def _decides(self, db: sqlite3.Connection, place: str, errand: Errand) -> bool:
        """A target that refused a clip takes clips again when it took one, whatever it answers meanwhile."""
        question = errand in (Errand.ASK, Errand.SWEEP)
        return not (question and self._breaker.refuses_clips and self._due(db, place, set()) is not None)

    def _greeting(self, now: float) -> bool:
        """Whether it is time to ask who it is."""
        wait = self._waits.get(GREETING)
        waits = wait is not None and wait.until > now and self._breaker.state(now) is BreakerState.CLOSED
        return not waits and GREETING not in self._busy

    def _next(self, db: sqlite3.Connection, place: str, now: Now) -> int | None:
        clip = None
        if self._breaker.state(now.at) is BreakerState.HALF_OPEN:
            # A clip that fails for reasons of its own must not be the one that judges the target.
            clip = self._due(db, place, self._busy.keys() | self._waits, now.least)
        return self._due(db, place, self._not_now(now.at), now.least) if clip is None else clip

    def _not_now(self, now: float) -> set[int]:
        return self._busy.keys() | {id for id, wait in self._waits.items() if wait.until > now}

    def _fresh(self, db: sqlite3.Connection, clip: int) -> tuple[int, Rank]:
        """(bytes, rank) of a clip that may be one of a handful; no bytes of every other."""
        fresh = deliveries.fresh(db, clip, self.target.name) if clip not in self._waits else None
        return fresh or (0, (0, 0))

    def _due(self, db: sqlite3.Connection, place: str, besides: set[int], least: Rank = (0, 0)) -> int | None:
        return waiting.next_due(db, self.target.name, place, besides.__contains__, least)

    def _wait(self, clip: int, now: float, retry_after: float | None) -> None:
        before = self._waits.get(clip)
        failures = before.failures + 1 if before else 1
        self._waits[clip] = _Wait(
            failures, now + self._backoff.delay(failures, self._rng, retry_after), self._answers
        )
        self._busy.pop(clip, None)

    def _answered(self) -> None:
        self._answers += 1
        self._breaker.succeeded()

    def _leave(self, clip: int) -> None:
        self._busy.pop(clip, None)
        self._waits.pop(clip, None)

    def _forget_who_left(self, now: float) -> None:
        """Clips whose wait is over and that are not due were moved on by somebody else."""
        for clip in [id for id, wait in self._waits.items() if wait.until <= now and id not in self._busy]:
            del self._waits[clip]
