"""The uploaders: a few threads that carry clips to targets until none is due.

They wake up when ingest stored something (`notify`), when a wait is over, and now and then in case
that a wake-up was lost. All shared state is the lanes', under one lock that is never held while a
target works.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.catalog import Catalog, deliveries
from agent.errors import NotEqual, Rejected, Retry, StationError, Stopping, WrongState
from agent.upload.lane import Lane, TargetFacts
from agent.upload.retry import Backoff
from agent.upload.targets.base import Target
from agent.upload.worker import Courier

_LONGEST_REST = 30.0  # seconds between two looks, even when nobody calls
_REJECTED_LOOK = 3600.0
REJECTED_AGAIN = 86400.0
#: Seconds without a MiB moved. A share may hang for minutes (NFS waits for its server); ending the
#: agent would not help that, and would stop the collecting.
SILENCE = 600.0
_log = logging.getLogger(__name__)


class Uploads:
    """`store_path` gives the file of a key. `monotonic` and `wall` are in seconds."""

    def __init__(
        self,
        catalog: Catalog,
        targets: Mapping[str, Target],
        store_path: Callable[[str], Path],
        *,
        workers: int = 2,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        rng = rng or random.Random()
        self._catalog = catalog
        self._courier = Courier(catalog, tuple(targets), store_path)
        self._lanes = {name: Lane(target, backoff, rng) for name, target in targets.items()}
        self._turns = deque(self._lanes.values())
        self._monotonic, self._wall = monotonic, wall
        self._changed = threading.Condition()
        self._calls = 0
        self._stopping = False
        self._rejected_look = monotonic()
        self._last_sign: dict[str, float] = {}  # of threads that are at work
        self._threads = [
            threading.Thread(target=self._run, name=f"upload-{number}", daemon=True)
            for number in range(1, workers + 1)
        ]

    def start(self) -> None:
        if self._lanes:
            self._catalog.write(lambda tx: deliveries.settle_all(tx, self._courier.targets))
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """Something was stored. Never blocks for long; from any thread."""
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def stop(self, timeout: float) -> bool:
        """Ask all to leave everything so that the next start goes on; True when they have ended.

        One that hangs in the kernel stays behind; it is a daemon thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        end = time.monotonic() + timeout
        started = [thread for thread in self._threads if thread.ident is not None]
        for thread in started:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in started)

    def facts(self) -> dict[str, TargetFacts]:
        with self._changed:
            now = self._monotonic()
            return {name: lane.facts(now) for name, lane in self._lanes.items()}

    def beats(self) -> list[tuple[str, float, float]]:
        """(thread, seconds since its last progress, seconds that it may take) of those at work."""
        now = self._monotonic()
        return [(name, now - at, SILENCE) for name, at in list(self._last_sign.items())]

    def step(self) -> bool:
        """Carry one clip to one target; False when there is none to carry now."""
        with self._changed:
            taken = self._take()
        if taken is None:
            return False
        with self._at_work():
            self._carry(*taken)
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

    def _take(self) -> tuple[Lane, int] | None:
        now = self._monotonic()
        self._retry_rejected(now)
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)  # the next target's turn, whatever comes of this one
            if (clip := lane.take(self._catalog.read(), now)) is not None:
                return lane, clip
        return None

    def _retry_rejected(self, now: float) -> None:
        if now < self._rejected_look:
            return
        self._rejected_look = now + _REJECTED_LOOK
        wall = self._wall()
        try:
            self._catalog.write(lambda tx: deliveries.retry_rejected(tx, wall - REJECTED_AGAIN, wall))
        except StationError as error:
            _log.warning("rejected clips are not tried again now: %s", error)

    def _carry(self, lane: Lane, clip: int) -> None:
        progressed = False

        def sent(size: int) -> None:
            nonlocal progressed
            progressed = True
            with self._changed:
                lane.sent(size)

        target = lane.target.name
        try:
            done = self._courier.deliver(clip, lane.target, self._check, sent)
        except Stopping:
            self._tell(lambda _: lane.left(clip))
        except WrongState as error:
            _log.warning("%s: clip %d was moved by somebody else: %s", target, clip, error)
            self._tell(lambda now: lane.put_off(clip, now))
        except Rejected as error:
            _log.warning("%s: clip %d is refused: %s", target, clip, error)
            self._tell(lambda _: lane.settled(clip))
        except NotEqual as error:
            _log.critical("clip %d is not what was stored, quarantined: %s", clip, error)
            self._tell(lambda _: lane.left(clip))
        except StationError as error:
            failure = error
            _log.info("%s: clip %d: %s", target, clip, error)
            self._tell(lambda now: lane.failed(clip, failure, now, progressed=progressed))
        except Exception as error:  # noqa: BLE001 - logged, counted and told
            bug = Retry("internal", error=type(error).__name__)
            _log.exception("%s: clip %d: unexpected", target, clip)
            self._tell(lambda now: lane.failed(clip, bug, now, progressed=False, bug=True))
        else:
            self._tell(lambda _: lane.delivered(clip) if done else lane.left(clip))

    def _tell(self, what: Callable[[float], None]) -> None:
        with self._changed:
            what(self._monotonic())

    def _check(self) -> None:
        self._last_sign[threading.current_thread().name] = self._monotonic()
        if self._stopping:
            raise Stopping

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        name = threading.current_thread().name
        self._last_sign[name] = self._monotonic()
        try:
            yield
        finally:
            del self._last_sign[name]
