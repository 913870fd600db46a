"""Docks recorders while the network fails and agent and server are killed; lets it all arrive, judges.

The rack is kept full as long as faults are to come, but for a queue that grows too long.
"""

import contextlib
import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from agent.catalog.home import catalog_path
from agent.errors import StationError
from agent.status.shape import StatusShape
from tests.agent_process import IMPATIENT, PATIENCE, Agent, AgentEnded
from tests.crash import promises, verdict, weather
from tests.crash.centres import Centre
from tests.crash.promises import Broken
from tests.crash.rack import Rack, mixed_load
from tests.servers.faults import Rule
from tests.servers.proxy import FaultProxy

_GLANCE = 0.05  # seconds between two looks
_PASSED = 1.0  # seconds after which a fault that did not strike is left to strike later
_LONGEST = 2.0  # seconds of work before a kill
_QUEUE = 20  # clips on the station at which no recorder is docked for a while
_FINISH = 3 * PATIENCE


@dataclass
class Storm:
    """`patch`: as of an `Agent`, behind that which makes it impatient."""

    folder: Path
    centre: Centre
    seed: int
    patch: str = ""
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)  # once it is calm
    status: StatusShape | None = None

    def __post_init__(self) -> None:
        self.proxy = FaultProxy(self.centre.port)
        self.agent = Agent(
            self.folder,
            self.centre.patch + IMPATIENT + self.patch,
            upload={"uploaders": 3, "read_back_percent": 20.0},
        )
        self.rack = Rack(self.agent, slots=2, seed=self.seed, kinds=(mixed_load,))
        self._rng = Random(self.seed)
        self._looked_at: set[int] = set()  # clips that were said to be confirmed
        self._settled = 0  # up to this id all of them

    def __enter__(self) -> "Storm":
        self.proxy.__enter__()
        self.agent.config["targets"] = {"centre": dict(self.centre.target(self.proxy.url))}
        self.agent.write_config()
        return self

    def __exit__(self, *args: object) -> None:
        self.agent.__exit__(*args)
        self.proxy.__exit__()

    # Each of these raises Broken when something that is promised is not true.

    def rage(self, number: int) -> None:
        """So many faults and kills, in a mixture that `seed` shuffles."""
        kills = ["agent"] * (number // 5) + ["server"] * (number // 10)
        plan = [*kills, *["fault"] * (number - len(kills))]
        self._rng.shuffle(plan)
        self.agent.start()
        for what in plan:
            match what:
                case "fault":
                    self.strike()
                case "agent":
                    self._work_for(self._rng.uniform(0, _LONGEST))
                    self.agent.kill()
                    self.agent.start()
                    self.kills[what] += 1
                case "server":
                    self._work_for(self._rng.uniform(0, _LONGEST))
                    self.centre.server.kill()
                    self._work_for(self._rng.uniform(0, _LONGEST))
                    self.centre.server.start()
                    self.kills[what] += 1

    def strike(self, *rules: Rule) -> None:
        """Until another fault took place: of `rules`, or of those by chance so far and more of them."""
        before, end = len(self.struck()), time.monotonic() + PATIENCE
        while len(self.struck()) == before:
            if time.monotonic() > end:
                raise Broken(f"no fault strikes any more: {self.status}{self._words()}")
            for rule in rules or (weather.rule(self._rng, self.centre.requests, self.centre.replies),):
                self.proxy.add(rule)
            passed = time.monotonic() + _PASSED
            while len(self.struck()) == before and time.monotonic() < passed:
                self._look()
                time.sleep(_GLANCE)

    def struck(self) -> list[str]:
        """The faults that took place."""
        return [type(seen.fault).__name__ for seen in list(self.proxy.seen) if seen.fault]

    def calm(self) -> int:
        """No fault any more: everything must arrive. Returns how many transfers had to be swept."""
        self.faults = Counter(self.struck())
        self.proxy.clear()
        self.proxy.end_half_open()
        self._until_done()
        if code := self.agent.stop():
            raise Broken(f"the agent ended with {code}{self._words()}")
        begun = len(self.centre.begun())
        self.centre.sweep()
        if left := self.centre.begun():
            raise Broken(f"not swept: {left}")
        back = self.folder / "back"
        self.centre.copy_back(back)
        if found := [*verdict.faults(self.agent.store, back, self.rack.contents), *self.centre.faults()]:
            raise Broken("\n".join(found))
        if found := list(tale(self.agent.store)):
            raise Broken("\n".join(found))
        if "Traceback" in (log := self.agent.log.read_text()):
            raise Broken(log[max(0, log.index("Traceback") - 1000) :][:5000])
        return begun

    def _until_done(self) -> None:
        end = time.monotonic() + _FINISH
        while self.status is None or self.rack.docked or self._waiting(self.status):
            if time.monotonic() > end:
                raise Broken(f"it does not finish: {self.status}{self._words()}")
            self._look(docking=False)
            time.sleep(_GLANCE)

    def _waiting(self, status: StatusShape) -> bool:
        counts = status["clips"]
        return sum(counts.values()) != counts["confirmed"] + counts["merged"]

    def _work_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._look()
            time.sleep(_GLANCE)

    def _look(self, *, docking: bool = True) -> None:
        if docking and (self.status is None or self.status["queue"]["clips"] < _QUEUE):
            self.rack.fill()
        try:
            status = self.agent.status()
            if status is None:
                return
            rows = self.agent.clips(self._settled)
        except AgentEnded as ended:
            raise Broken(str(ended)) from ended
        except StationError:  # it is only starting
            return
        self.status = status
        self.rack.take_what_is_collected(status)
        if wrong := [state for state in promises.NEVER if status["clips"][state]]:
            raise Broken(f"clips are {wrong}{self._words()}")
        if self.centre.server.alive:
            self._look_at(rows)

    def _look_at(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """What is said to be confirmed lies there now, before anything could mend it."""
        settled = True
        for row in rows:
            if row["state"] == "confirmed" and row["id"] not in self._looked_at:
                self._look_for(row)
            settled = settled and (row["state"] == "merged" or row["id"] in self._looked_at)
            if settled:
                self._settled = row["id"]

    def _look_for(self, row: Mapping[str, Any]) -> None:
        there = self.centre.object(row["key"])
        if there is None or hashlib.sha256(there).hexdigest() != row["sha256"]:
            raise Broken(f"said to be confirmed, and not there: {dict(row)}{self._words()}")
        self._looked_at.add(row["id"])

    def _words(self) -> str:
        faults = [
            f"{seen.method} {seen.target}: {seen.fault}" for seen in list(self.proxy.seen) if seen.fault
        ]
        return "\n".join(["", "faults:", *faults[-10:], self.agent.last_words()])


def tale(store: Path) -> Iterator[str]:
    """Of the events: a clip is confirmed once, and again only after it was told to be lost at the centre."""
    confirmed, lost = Counter[int](), Counter[int]()
    with contextlib.closing(sqlite3.connect(f"file:{catalog_path(store)}?mode=ro", uri=True)) as db:
        for clip, kind, body in db.execute("SELECT clip, kind, body FROM events WHERE clip IS NOT NULL"):
            lost[clip] += kind == "lost-at-target"
            state = json.loads(body).get("to")
            confirmed[clip] += state == "confirmed"
            if state in ("quarantined", "rejected", "missing"):
                yield f"clip {clip} became {state}: {body}"
        merged = {row[0] for row in db.execute("SELECT id FROM clips WHERE state = 'merged'")}
    for clip in (confirmed | lost).keys() - merged:
        if confirmed[clip] - lost[clip] != 1:
            yield f"clip {clip} was confirmed {confirmed[clip]} times, and lost {lost[clip]} times"
