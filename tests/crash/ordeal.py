"""Docks recorders, kills the agent over and over, lets it finish, judges.

The rack is kept full while kills are to come, so that every kill finds work under way.
"""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from agent.errors import StationError
from tests.agent_process import PATIENCE, Agent, AgentEnded
from tests.crash import verdict, wreck
from tests.crash.moments import MOMENTS, Come, Moment, Station
from tests.crash.promises import Broken, Promises
from tests.crash.rack import Rack

_GLANCE = 0.05  # seconds in which a moment is waited for between two looks at the status
_TICK = 0.001
_FINISH = 5 * PATIENCE


@dataclass
class Ordeal:
    """`moments`: the kinds of kills, in turn, in an order that `seed` shuffles."""

    folder: Path
    seed: int
    slots: int = 8
    patch: str = ""
    moments: Sequence[Moment] = MOMENTS
    caught: list[set[str]] = field(default_factory=list)  # at each kill
    spoilt: int = 0

    def __post_init__(self) -> None:
        self.agent = Agent(self.folder, self.patch)
        self.rack = Rack(self.agent, self.slots, self.seed)
        self.promises = Promises(self.agent.store, self.agent.centre)

    def __enter__(self) -> "Ordeal":
        return self

    def __exit__(self, *args: object) -> None:
        self.agent.__exit__(*args)

    # Each of these raises Broken when something that the agent said, or that is promised of it, is not true.

    def run(self, kills: int) -> None:
        self.kill(kills)
        self.finish()

    def kill(self, kills: int) -> None:
        rng = Random(self.seed)
        while len(self.caught) < kills:
            for moment in rng.sample(self.moments, len(self.moments))[: kills - len(self.caught)]:
                self._kill_at(moment, rng)

    def die(self, patch: str) -> None:
        """Start an agent that kills itself at the line that `patch` says, and let it."""
        self.agent.patch = patch
        station = self._start()
        end = time.monotonic() + PATIENCE
        while self.agent.alive:
            if time.monotonic() > end:
                raise Broken(f"it never came to its line{self.agent.last_words()}")
            self.rack.fill()
            with contextlib.suppress(AgentEnded, StationError):  # while it is asked
                self._look(station)
            time.sleep(_GLANCE)
        if (code := self.agent.wait()) != -signal.SIGKILL:
            raise Broken(f"it ended with {code}{self.agent.last_words()}")
        self.agent.patch = self.patch
        self.caught.append(wreck.caught(self.agent.store))

    def finish(self) -> None:
        """No kill any more: everything must arrive."""
        self.rack.fill()
        station = self._start()
        end = time.monotonic() + _FINISH
        while not self._done(station):
            if time.monotonic() > end:
                raise Broken(f"it does not finish: {station.status}{self.agent.last_words()}")
            self._look(station)
            time.sleep(_GLANCE)
        if code := self.agent.stop():
            raise Broken(f"the agent ended with {code}{self.agent.last_words()}")
        if found := verdict.faults(self.agent.store, self.agent.centre, self.rack.contents):
            raise Broken("\n".join(found))
        if "Traceback" in (log := self.agent.log.read_text()):
            raise Broken(log[max(0, log.index("Traceback") - 1000) :][:5000])

    def summary(self) -> Counter[str]:
        """At how many kills a clip was in which state."""
        return wreck.tally(self.caught)

    def _start(self) -> Station:
        self.agent.start()
        self.promises.settled = 0  # everything that was said is asked again
        return Station(self.agent)

    def _kill_at(self, moment: Moment, rng: Random) -> None:
        station = self._start()
        come = moment(station, rng)
        end = time.monotonic() + PATIENCE
        self.rack.fill()
        while not self._holds(come):
            if time.monotonic() > end:
                raise Broken(f"the moment never came: {moment}{self.agent.last_words()}")
            self._look(station)
            self.rack.fill()
        self.agent.kill()
        self.caught.append(wreck.caught(self.agent.store))
        if rng.random() < 0.5 and self.caught[-1]:
            self.spoilt += bool(wreck.spoil(self.agent.store, rng))

    def _holds(self, come: Come) -> bool:
        """Whether the moment came within a glance; then the agent is frozen in it."""
        end = time.monotonic() + _GLANCE
        while time.monotonic() < end:
            if come():
                self.agent.freeze()
                if come():
                    return True
                self.agent.thaw()
            time.sleep(_TICK)
        return False

    def _look(self, station: Station) -> None:
        status = self.agent.status()
        if status is None:
            return
        self.rack.take_what_is_collected(status)
        station.status = status
        self.promises.hear(status)
        after = self.promises.settled
        self.promises.hear_clips(self.agent.clips(after), after)

    def _done(self, station: Station) -> bool:
        status = station.status
        return (
            status is not None
            and not self.rack.docked
            and status["queue"]["clips"] == 0
            and status["clips"]["copying"] == 0
        )
