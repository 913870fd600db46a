"""The uploaders: a few threads that carry clips to targets until none is due.

They wake up when ingest stored something (`notify`), when a wait is over, and now and then in case
that a wake-up was lost. All shared state is the lanes', under one lock that is never held while a
target works.
"""

import logging
import random
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent import clock
from agent.catalog import Catalog, deliveries
from agent.errors import NotEqual, Rejected, Retry, StationError, Stopping, WrongState
from agent.model import Lock
from agent.upload.generation import Generation
from agent.upload.handful import Handful, Outcome
from agent.upload.lane import GREETING, SWEEPING, Again, Errand, Lane, Now, TargetFacts
from agent.upload.limits import Limits
from agent.upload.retry import Backoff
from agent.upload.targets.base import Target
from agent.upload.targets.short import Short
from agent.upload.worker import Courier

_LONGEST_REST = 30.0  # seconds between two looks, even when nobody calls
_GLANCE = 0.1  # seconds between two questions whether to go on waiting
_REJECTED_LOOK = 3600.0
_AT_ONCE = 1.0  # wall time: "asked before that" are those that are to be asked for as soon as may be
_PRESSING = (0, 1)  # the least rank that is sent at any hour: important, or asked for
REJECTED_AGAIN = 86400.0
#: Seconds without a sign of life after which a target is said to hang. It is told and no more: an NFS
#: share waits for its server for ever, no end of the agent would change that, and collecting goes on.
SILENCE = 600.0
#: (catalog, clip, a trusted time) → for how long the centre must keep the clip
Locker = Callable[[sqlite3.Connection, int, float], Lock]
_log = logging.getLogger(__name__)


class Uploads:
    """`store_path` gives the file of a key; of an empty key, the folder of all. `monotonic` and `wall` are
    in seconds, `trusted` tells whether the wall clock is right. `reconfirm`: seconds after which a target is
    asked again for what it confirmed; `read_back`: the share of clips whose bytes are read back even though
    the target told their digest; `lock`: for how long a target that can is to lock a clip."""

    def __init__(
        self,
        catalog: Catalog,
        targets: Mapping[str, Target],
        store_path: Callable[[str], Path],
        *,
        lock: Locker,
        workers: int = 2,
        reconfirm: float = 7 * 86400.0,
        read_back: float = 0.01,
        limits: Limits | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        trusted: Callable[[], bool] = clock.trusted,
    ) -> None:
        rng = rng or random.Random()
        self._locker, self._wall, self._trusted = lock, wall, trusted
        self._generation = Generation(catalog, targets)
        self._limits = limits or Limits()
        self._courier = Courier(
            self._generation,
            store_path,
            self._limits,
            lambda clip: _chosen(clip, read_back, wall()),
            self.lock,
        )
        self._reconfirm = reconfirm
        # One target that hangs must leave an uploader for the others.
        most = max(1, workers - 1) if len(targets) > 1 else workers
        self._lanes = {name: Lane(target, backoff, rng, most) for name, target in targets.items()}
        self._turns = deque(self._lanes.values())
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._calls = 0
        self._asking = False  # one at a time: a long reading back must not keep all from carrying clips
        self._stopping = False
        self._rejected_look = monotonic()
        self._signs: dict[str, tuple[str, float]] = {}  # thread at work: its target, its last sign of life
        self._threads = [
            threading.Thread(target=self._run, name=f"upload-{number}", daemon=True)
            for number in range(1, workers + 1)
        ]

    def lock(self, db: sqlite3.Connection, clip: int) -> Lock | None:
        """For how long targets are to keep it; None while the clock does not tell."""
        return self._locker(db, clip, self._wall()) if self._trusted() else None

    @property
    def generation(self) -> Generation:
        """Who may commit for these, and who each target said that it is."""
        return self._generation

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """Something was stored. Never blocks for long; from any thread."""
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def again(self, target: str) -> None:
        """Somebody has mended something about `target`: no wait counts any more."""
        with self._changed:
            if (lane := self._lanes.get(target)) is not None:
                lane.again()
        self.notify()

    def hurry(self, clip: int) -> None:
        """Somebody asked for it to be sent now."""
        with self._changed:
            for lane in self._turns:
                lane.hurry(clip)
        self.notify()

    def retry(self, clip: int | None, who: str) -> int:
        """Try this rejected clip again, or all; return how many. `who` asked for that. Raises Reject."""
        tried = self._generation.write(lambda tx, targets: deliveries.retry_asked(tx, clip, who, targets))
        self.notify()
        return tried

    def stop(self, timeout: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Ask all to leave everything so that the next start goes on; True when they have ended.

        One that hangs in the kernel stays behind; it is a daemon thread. `give_up` is asked now and then
        whether to wait any longer."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        end = time.monotonic() + timeout
        while (alive := self._alive()) and (left := end - time.monotonic()) > 0 and not give_up():
            alive[0].join(min(left, _GLANCE))
        return not alive

    def abandon(self) -> None:
        """After a `stop` that failed: nothing that those who hang still do may count, or touch what
        others do from now on. Raises CatalogError; then it is to be called again."""
        self._generation.end()
        self._generation.disown(
            [(name, clip) for name, facts in self.facts().items() for clip in facts.in_flight]
        )

    def facts(self) -> dict[str, TargetFacts]:
        with self._changed:
            now = self._monotonic()
            return {name: lane.facts(now) for name, lane in self._lanes.items()}

    def unlocked(self) -> frozenset[str]:
        """Targets that should keep their clips under a lock, and have none."""
        return frozenset(self._courier.unlocked)

    def hanging(self) -> dict[str, float]:
        """Seconds without a sign of life, of each target that has given none for longer than SILENCE."""
        now = self._monotonic()
        silent: dict[str, float] = {}
        for target, at in list(self._signs.values()):
            silent[target] = max(silent.get(target, 0.0), now - at)
        return {target: seconds for target, seconds in silent.items() if seconds > SILENCE}

    def step(self) -> bool:
        """Carry a clip or a handful to a target, or ask one who it is; False when there is nothing to do."""
        with self._changed:
            taken = None if self._stopping else self._take()
        if taken is None:
            return False
        lane, errand, clips = taken
        with self._at_work(lane.target.name):
            match errand:
                case Errand.GREET:
                    self._greet(lane)
                case Errand.CARRY if len(clips) > 1:
                    self._carry_several(lane, clips)
                case Errand.CARRY:
                    self._carry(lane, clips[0])
                case Errand.ASK:
                    self._ask(lane, clips[0])
                case Errand.SWEEP:
                    self._sweep(lane)
        # Its end may be what the others wait for: a clip free again, a target that answers again.
        self.notify()
        return True

    def _run(self) -> None:
        while not self._stopping:
            with self._changed:
                calls = self._calls
            if not self.step():
                self._rest(calls)

    def _rest(self, calls: int) -> None:
        with self._changed:
            now = self._monotonic()
            looks = [at for lane in self._turns if (at := lane.next_look(now)) is not None]
            pause = min([_LONGEST_REST, *(at - now for at in looks)])
            self._changed.wait_for(lambda: self._stopping or self._calls != calls, max(pause, 0.01))

    def _take(self) -> tuple[Lane, Errand, list[int]] | None:
        now = self._now()
        self._retry_rejected(now.at)
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)  # the next target's turn, whatever comes of this one
            place = self._generation.place(lane.target.name)
            db = self._generation.read()
            if (taken := lane.take(db, place, now)) is not None:
                errand, clip = taken
                self._asking |= errand is Errand.ASK
                along = lane.along(db, place, now, clip) if errand is Errand.CARRY else []
                return lane, errand, [clip, *along]
        return None

    def _now(self) -> Now:
        """A clock that may be wrong knows neither the hours nor how long ago anything was."""
        at, wall = self._monotonic(), self._wall()
        if not self._trusted():
            return Now(at)
        inside = self._limits.open_at(wall)
        again = Again(wall - self._reconfirm if inside else _AT_ONCE, wall)
        return Now(at, (0, 0) if inside else _PRESSING, None if self._asking else again)

    def _turn(self, lane: Lane, clip: int, *, begun: bool = True) -> None:
        """Raises Stopping when the clip, or the rest of one that was `begun`, is to wait."""
        place = self._generation.place(lane.target.name)
        with self._changed:
            if lane.gives_way(self._generation.read(), place, self._now(), clip, begun=begun):
                raise Stopping

    def _retry_rejected(self, now: float) -> None:
        if now < self._rejected_look:
            return
        self._rejected_look = now + _REJECTED_LOOK
        wall = self._wall()
        try:
            self._generation.write(
                lambda tx, targets: deliveries.retry_rejected(tx, wall - REJECTED_AGAIN, wall, targets)
            )
        except StationError as error:
            _log.warning("rejected clips are not tried again now: %s", error)

    def _greet(self, lane: Lane) -> None:
        try:
            self._courier.greet(lane.target)
        except Stopping:
            self._tell(lambda _: lane.left(GREETING))
        except StationError as error:
            failure = error
            _log.info("%s: %s", lane.target.name, error)
            self._tell(lambda now: lane.failed(GREETING, failure, now, question=True))
        except Exception as error:  # noqa: BLE001 - logged and told
            bug = _unexpected(error, lane.target.name)
            self._tell(lambda now: lane.failed(GREETING, bug, now, question=True))
        else:
            self._tell(lambda _: lane.greeted())

    def _sweep(self, lane: Lane) -> None:
        try:
            self._courier.sweep(lane.target)
        except StationError as error:
            # Keys that may not list uploads are no reason to keep clips from the target.
            _log.warning("%s is not swept now: %s", lane.target.name, error)
            self._tell(lambda now: lane.put_off(SWEEPING, now))
        except Exception as error:  # noqa: BLE001 - logged and told
            _unexpected(error, lane.target.name)
            self._tell(lambda now: lane.put_off(SWEEPING, now))
        else:
            self._tell(lane.swept)

    def _carry(self, lane: Lane, clip: int) -> None:
        progressed = False

        def sent() -> None:
            nonlocal progressed
            progressed = True

        try:
            done = self._courier.deliver(clip, lane.target, self._check, sent, lambda: self._turn(lane, clip))
        except Exception as error:  # noqa: BLE001 - logged and told
            self._failed(lane, clip, error, progressed=progressed)
        else:
            self._tell(lambda _: lane.settled(clip) if done else lane.left(clip))

    def _carry_several(self, lane: Lane, clips: list[int]) -> None:
        target, outcome, first = lane.target, Outcome(), clips[0]
        assert isinstance(target, Short)  # else nothing would go along
        handful = Handful(
            self._courier, target, self._check, lambda clip: self._turn(lane, clip, begun=False)
        )
        alone = False
        try:
            outcome = handful.carry(clips)
            alone = first not in outcome.begun and first not in outcome.failed
        except Stopping:
            pass
        except Exception as error:  # noqa: BLE001 - logged; the first of them tells whose fault it is
            _unexpected(error, f"{target.name}: {len(clips)} clips at once")
            alone = True
        for clip in clips[alone:]:
            self._end(lane, clip, outcome)
        if alone:
            self._carry(lane, first)

    def _end(self, lane: Lane, clip: int, outcome: Outcome) -> None:
        if (failure := outcome.failed.get(clip)) is not None:
            self._failed(lane, clip, failure, progressed=outcome.taken > 0)
        elif clip in outcome.done:
            self._tell(lambda _: lane.settled(clip))
        else:
            self._tell(lambda _: lane.left(clip))

    def _failed(self, lane: Lane, clip: int, error: Exception, *, progressed: bool) -> None:
        target = lane.target.name
        match error:
            case Stopping():
                self._tell(lambda _: lane.left(clip))
            case WrongState():
                _log.warning("%s: clip %d was moved by somebody else: %s", target, clip, error)
                self._tell(lambda now: lane.put_off(clip, now))
            case Rejected():
                _log.warning("%s: clip %d is refused: %s", target, clip, error)
                self._tell(lambda _: lane.settled(clip))
            case NotEqual():
                _log.critical("clip %d is not what was stored, quarantined: %s", clip, error)
                self._tell(lambda _: lane.left(clip))
            case StationError():
                _log.info("%s: clip %d: %s", target, clip, error)
                self._tell(lambda now: lane.failed(clip, error, now, progressed=progressed))
            case _:
                bug = _unexpected(error, f"{target}: clip {clip}")
                self._tell(lambda now: lane.failed(clip, bug, now))

    def _ask(self, lane: Lane, clip: int) -> None:
        target = lane.target.name
        try:
            self._courier.ask(clip, lane.target, self._check)
        except (Stopping, WrongState):
            self._tell(lambda _: lane.left(clip))
        except StationError as error:
            failure = error
            _log.info("%s: clip %d is not asked for now: %s", target, clip, error)
            self._tell(lambda now: lane.failed(clip, failure, now, question=True))
        except Exception as error:  # noqa: BLE001 - logged and told
            bug = _unexpected(error, f"{target}: clip {clip}")
            self._tell(lambda now: lane.failed(clip, bug, now, question=True))
        else:
            self._tell(lambda _: lane.asked(clip))
        finally:
            self._asking = False

    def _tell(self, what: Callable[[float], None]) -> None:
        with self._changed:
            what(self._monotonic())

    def _check(self) -> None:
        name = threading.current_thread().name
        self._signs[name] = self._signs[name][0], self._monotonic()
        if self._stopping:
            raise Stopping

    def _alive(self) -> list[threading.Thread]:
        return [thread for thread in self._threads if thread.is_alive()]

    @contextmanager
    def _at_work(self, target: str) -> Iterator[None]:
        name = threading.current_thread().name
        self._signs[name] = target, self._monotonic()
        try:
            yield
        finally:
            del self._signs[name]


def _chosen(clip: int, share: float, wall: float) -> bool:
    """By chance, and the same for a whole week: a read-back that fails is not got rid of by another throw."""
    throw = zlib.crc32(f"{clip} {int(wall // (7 * 86400))}".encode()) / 2**32
    return throw < share


def _unexpected(error: Exception, what: str) -> Retry:
    _log.error("%s: unexpected", what, exc_info=error)
    return Retry("internal", error=type(error).__name__)
