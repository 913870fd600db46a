"""Reads all that is stored again, slowly and for ever, and makes whole what is not.

What is rotten is looked at twice, and is an entry in the log before anything is done about it. Then the
centre is asked for the bytes; what it does not have is quarantined, and copied again when its recorder docks.
A disk that shows nothing any more says nothing of single clips: then the reading rests, and people are told.
"""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from agent.catalog import Catalog, documents, rot, scrubs
from agent.catalog.rot import Mark
from agent.errors import Retry, StationError, Stopping, WrongState
from agent.ingest import heal, presence
from agent.ingest.heal import Fetch
from agent.ingest.locks import Locks
from agent.ingest.pace import Pace
from agent.ingest.pipeline import BUFFER
from agent.ingest.reread import Rot, look
from agent.ingest.room import Disk
from agent.ingest.store import Store
from agent.model import ClipState, Problem, StoredClip, printable

LOOK = 1800.0  # seconds between two looks whether anything is to be read
REST = 3600.0  # seconds after which one more clip is believed to be rotten where all seem to be
IN_A_ROW = 3  # rotten clips without a whole one between them: then it rests
FIRST, LONGEST = 60.0, 6 * 3600.0  # seconds until a clip that could not be healed is tried again
_TURN = 30.0  # seconds of reading, after which it is committed what was read
_AHEAD = 5000  # clips that are known to be due: bounds the memory
_TOLD = 100  # parts that an entry names one by one
_log = logging.getLogger(__name__)


class Settings(Protocol):
    @property
    def every(self) -> float: ...
    @property
    def rate(self) -> int: ...


class Scrub:
    """`disk`: without what dockings were promised. `fetch`: clips from the centre. `healed`: there may be
    something to send again. `busy`: recorders are being copied. `wait`: for so many seconds; True when the
    agent ends."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        disk: Disk,
        locks: Locks,
        config: Callable[[], Settings],
        fetch: Fetch,
        healed: Callable[[], None],
        busy: Callable[[], bool],
        wait: Callable[[float], bool],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog, self._store, self._disk, self._locks = catalog, store, disk, locks
        self._config, self._fetch, self._healed, self._wait = config, fetch, healed, wait
        self._wall, self._monotonic = wall, monotonic
        self._pace = Pace(lambda: config().rate, busy, wait, monotonic)
        self._buffer = memoryview(bytearray(BUFFER))
        self._due, self._read = deque[int](), list[int]()
        self._believed = IN_A_ROW  # so many more clips, before a whole one was read
        self._rests_until, self._away = 0.0, False  # away: the store itself is not there
        self._tries: dict[int, tuple[int, float]] = {}  # clip: (failures, when it is tried again)
        self._unreadable: set[int] = set()  # tried in this round: they keep no other from being read
        self._oldest: float | None = None  # when that clip was read last that was not read for longest
        self.clips_read = self.bytes_read = 0  # that were whole, since the start
        self._first = True  # no copy that is rotten was looked at yet
        self._rests: Problem | None = None
        self._failed: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """Why it stands still, or what could not be read."""
        return self._rests or self._failed

    @property
    def behind(self) -> float | None:
        """Seconds since the longest unread clip was read, when that is twice as long as it should be."""
        since = self.oldest or 0.0
        return since if since > 2 * self.every else None

    @property
    def oldest(self) -> float | None:
        """Seconds since that clip was read which was not for longest, as of the last look; None: there is
        none, or nobody has looked yet."""
        return None if self._oldest is None else self._wall() - self._oldest

    @property
    def every(self) -> float:
        """Seconds within which each clip is to be read."""
        return self._config().every

    def step(self) -> float:
        """Make whole what is rotten, then read for a while; the seconds until there is more to do. Raises
        Stopping, CatalogError, OSError."""
        try:
            if not (self._resting() and self._away):
                self._heal_all()
            if not self._resting():
                self._read_on()
        finally:
            self._keep()
        return 0.0 if self._due and not self._resting() else self._pause()

    def _pause(self) -> float:
        now = self._monotonic()
        times = [when for _, when in self._tries.values()]
        times += [self._rests_until] if self._resting() else []
        return max(1.0, min([LOOK, *(when - now for when in times)]))

    def _resting(self) -> bool:
        return self._monotonic() < self._rests_until

    # reading

    def _read_on(self) -> None:
        if not self._due:
            self._look_ahead()
        until = self._monotonic() + _TURN
        while self._due and not self._resting() and self._monotonic() < until:
            clip = self._due.popleft()
            with self._catalog.reading() as db:
                stored = scrubs.here(db, clip)
            if stored is not None:
                self._one(stored)

    def _look_ahead(self) -> None:
        most = _AHEAD + len(self._unreadable)
        with self._catalog.reading() as db:
            due = scrubs.due(db, self._wall(), self._config().every, most)
            self._oldest = scrubs.oldest(db)
        self._due.extend(clip for clip in due if clip not in self._unreadable)
        if not self._due:
            self._rests = None  # for nothing
            self._failed = None
            self._unreadable.clear()

    def _one(self, clip: StoredClip) -> None:
        try:
            rotten = self._look(clip) and self._look(clip)  # twice: a bit may have flipped in memory
        except OSError as error:  # that says nothing of its bytes
            self._failed = Problem("scrub-failed", {"error": str(error)})
            self._unreadable.add(clip.id)
            _log.error("clip %d cannot be read again: %s", clip.id, error)
            return
        if rotten is not None:
            self._found(clip, rotten)
            return
        self._believed, self._away, self._rests = IN_A_ROW, False, None
        self._read.append(clip.id)
        self.clips_read, self.bytes_read = self.clips_read + 1, self.bytes_read + clip.manifest.size
        self._check_sidecar(clip)

    def _look(self, clip: StoredClip) -> Rot | None:
        self._pace.begin()
        return look(self._store.path(clip.key), clip.manifest, self._pace, self._buffer)

    def _found(self, clip: StoredClip, rotten: Rot) -> None:
        if not presence.there(self._catalog, self._store, clip.id, rotten):
            self._away = True
            self._rest(Problem("scrub-no-store", {"path": str(self._store.clips)}))
        elif not self._believed:
            self._rest(Problem("scrub-many-rotten", {"count": IN_A_ROW, "path": str(self._store.clips)}))
            self._believed = 1
        elif self._mark(clip, rotten):
            self._believed -= 1
            self._heal_all()

    def _mark(self, clip: StoredClip, rotten: Rot) -> bool:
        """False when the clip went its way while its file was read."""
        facts = {
            "path": printable(clip.key),
            "why": rotten.reason,
            "parts": list(rotten.parts[:_TOLD]),
            "count": len(rotten.parts),
        }

        def work(tx: sqlite3.Connection) -> ClipState:
            now = scrubs.here(tx, clip.id)
            if now is None or (now.key, now.manifest) != (clip.key, clip.manifest):
                raise WrongState(clip=clip.id)
            return rot.found(tx, clip.id, Problem("not-equal", facts))

        try:
            state = self._catalog.write(work)
        except WrongState:
            return False
        _log.critical("clip %d is not what was stored (%s), and %s now", clip.id, rotten, state)
        return True

    def _rest(self, problem: Problem) -> None:
        self._due.clear()
        self._rests_until = self._monotonic() + REST
        self._rests = problem
        _log.critical("reading what is stored rests: %s", problem)

    def _check_sidecar(self, clip: StoredClip) -> None:
        """Written anew when it is not what the catalog says. One that cannot be written keeps no other; it is
        looked at again with its clip."""
        try:
            if self._store.described(clip):
                return
            with self._alone(clip):
                with self._catalog.reading() as db:
                    now = scrubs.here(db, clip.id)
                if now is not None and not self._store.described(now):
                    self._store.rewrite_sidecar(now)
                    _log.warning("the sidecar of clip %d was written anew", clip.id)
        except (OSError, Retry) as error:
            _log.error("the sidecar of clip %d cannot be written: %s", clip.id, error)

    def _alone(self, clip: StoredClip) -> AbstractContextManager[None]:
        """No docking of its recorder is under way meanwhile. Raises Stopping; Retry where one does not end:
        its thread may hang in the kernel for ever."""
        until = self._monotonic() + REST

        def beat() -> None:
            self._pace.check()
            if self._monotonic() > until:
                raise Retry("scrub-not-healed", clip=clip.id, reason="docked")

        return self._locks.hold(str(clip.document["recorder"]), beat)

    def _keep(self) -> None:
        if read := self._read:
            self._read = []
            self._catalog.write(lambda tx: scrubs.read(tx, read, self._wall()))

    # making whole

    def _heal_all(self) -> None:
        """What is hopeless is read once at each start, and then as often as everything: it may have been its
        disk alone, or somebody has put its bytes back."""
        marks, now = rot.marks(self._catalog.read()), self._monotonic()
        later = 0.0 if self._first else now + self._config().every
        first = {mark.clip: (0, later if mark.hopeless else 0.0) for mark in marks}
        self._tries = {clip: self._tries.get(clip, none) for clip, none in first.items()}
        self._first = False
        for mark in marks:
            if self._tries[mark.clip][1] <= self._monotonic():
                self._try(mark)

    def _try(self, mark: Mark) -> None:
        try:
            self._heal(mark)
            del self._tries[mark.clip]
            return
        except Stopping:
            raise
        except WrongState:
            del self._tries[mark.clip]
            self._catalog.write(lambda tx: rot.leave(tx, mark.clip))
            return
        except (StationError, OSError) as error:
            _log.error("clip %d cannot be made whole now: %s", mark.clip, error)
        except Exception:  # noqa: BLE001 - told, and tried again: it keeps no other clip from being read
            _log.exception("clip %d cannot be made whole now", mark.clip)
        failures, _ = self._tries[mark.clip]
        pause = self._config().every if mark.hopeless else min(LONGEST, FIRST * 2.0 ** min(failures, 32))
        self._tries[mark.clip] = failures + 1, self._monotonic() + pause

    def _heal(self, mark: Mark) -> None:
        """Raises WrongState when it is nobody's concern any more, NotHealed, StoreFull, OSError, Stopping."""
        clip = self._wanted(mark.clip)
        if self._look(clip) is None:  # its recorder has made it whole, or an agent that died right then
            with self._alone(clip):  # a docking that has listed it as quarantined would fail
                self._commit(clip, "here")
        elif mark.hopeless:
            raise heal.NotHealed(clip.id, [Problem("export-no-target")])
        elif not mark.sent:  # the centre has lost it meanwhile
            self._catalog.write(lambda tx: rot.found(tx, clip.id, Problem("not-equal", {"why": "lost"})))
        else:
            self._from_centre(clip)

    def _from_centre(self, clip: StoredClip) -> None:
        path = self._store.path(clip.key)
        rotten = heal.as_it_is(path)
        try:
            target = heal.bring(
                self._store, self._disk, clip, self._fetch, self._pace.check, self._wait, self._buffer
            )
            with self._alone(clip):
                if heal.as_it_is(path) == rotten:
                    heal.exchange(self._store, self._wanted(clip.id))
                    self._commit(clip, target)
                    return
        except heal.NotHealed:
            # Whoever confirmed it has to show that it has it.
            self._catalog.write(lambda tx: rot.again(tx, clip.id))
            raise
        finally:  # its room is wanted, whatever ended this
            heal.aside(self._store, clip.id).unlink(missing_ok=True)
        # Its recorder was docked meanwhile, and has put another file there: that one is looked at first.
        raise Retry("scrub-not-healed", clip=clip.id, reason="changed")

    def _wanted(self, number: int) -> StoredClip:
        """Raises WrongState when its copy should not be here, or is whole as far as anybody knows."""
        with self._catalog.reading() as db:
            if not rot.to_heal(db, number):
                raise WrongState(clip=number)
            return documents.stored_clip(db, number)

    def _commit(self, clip: StoredClip, source: str) -> None:
        if self._catalog.write(lambda tx: rot.healed(tx, clip.id, source)):
            _log.warning("clip %d is whole again%s", clip.id, source and f", by {source}")
            self._read.append(clip.id)
            self._healed()
