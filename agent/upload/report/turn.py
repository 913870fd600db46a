"""Tells one target. Below `stations/<id>/`:

    status.json                          what the station is; replaced at every turn
    <story>/log/<first>.jsonl            its events from number <first> on; never replaced
    <story>/dockings/<day>.jsonl         a docking in each line; replaced when one of them changed
    <story>/clips/<day>/<docking>.jsonl  a clip in each line; replaced when one of them changed
    custody/…                            its signed log, as it lies on its disk

A segment of the log is laid, then what follows from it, then it is noted. After a crash in between, what
lies there under the number is compared with the catalog and passed over: nothing is lost, nothing doubled.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.catalog import events, story
from agent.catalog.story import Told
from agent.errors import Transient
from agent.upload.generation import Generation
from agent.upload.report.log import AnotherLog, Leaving, LogReport
from agent.upload.targets.base import Check
from agent.upload.targets.documents import Documents

FORMAT = 1
DAY = 86400.0  # seconds
_LONGEST = 60.0  # seconds of a turn that go to the log: a long one is told in several turns
_STRANGERS = 2  # turns in a row
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Author:
    """`instance`: of this run of the agent, by chance. `status`: what `/status` says. `leaving`: what of the
    log is to be told. `log`: the number of the log by now. `address`: host:port of its pages for others; ""
    when only its own machine may look."""

    id: str
    instance: str
    status: Callable[[], Mapping[str, Any]]
    leaving: Leaving = lambda log, size: ()
    log: Callable[[], int] = lambda: 0
    address: Callable[[], str] = lambda: ""


class Report:
    """What `check` raises ends a turn anywhere. Every other error is that of the target."""

    def __init__(
        self,
        author: Author,
        generation: Generation,
        target: Documents,
        check: Check,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._author, self._generation, self._target = author, generation, target
        self._check, self._monotonic = check, monotonic
        self._log = LogReport(author.id, generation, target, check, author.leaving, monotonic)
        self._look_at = 0.0
        self._laid = False  # a status of ours, by this run of the agent
        self._strangers = 0
        self._twice_until = 0.0
        self._twice_in = 0  # number of this station's log when that was seen

    def turn(self) -> bool:
        """False when the target has not said yet who it is: then it is told nothing."""
        if not (place := self._generation.place(self._target.name)):
            return False
        self._generation.same_place(self._target, place)
        happened = events.last(self._generation.read())
        told = self._tell_events(place, self._told(place))
        self._tell_status(told, happened)
        self._tell_log(place)
        return True

    def written_by_two(self) -> bool:
        """Whether somebody else was seen to write as this station, within a day, and nobody has begun another
        log since."""
        return self._monotonic() < self._twice_until and self._twice_in == self._author.log()

    def _told(self, place: str) -> Told:
        told = story.told(self._generation.read(), self._target.name, place)
        if told is None:
            return self._keep(place, story.begun())
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + DAY
            if told.last and self._retold(told.last, self._fetched(told.story, told.last)) != told.next:
                # Restored from an old copy, perhaps. What is there is passed over, what is missing is laid.
                _log.warning("%s: the log of this station is not as it was left", self._target.name)
                return self._keep(place, replace(told, next=1, last=0))
        return told

    def _tell_events(self, place: str, told: Told) -> Told:
        end = self._monotonic() + _LONGEST
        while self._monotonic() < end:
            self._check()
            data, following = story.segment(self._generation.read(), told.next)
            if not data:
                break
            told = self._keep(place, self._tell_segment(told, data, following))
        return told

    def _tell_segment(self, told: Told, data: bytes, following: int) -> Told:
        path = self._segment(told.story, told.next)
        if not self._target.lay(path, data, replace=False, check=self._check):
            there = self._fetched(told.story, told.next)
            same = self._retold(told.next, there)
            if same is None:
                if there is None or self._fetched(told.story, told.next) != there:
                    raise Transient("target-answer", why="log")  # a bit that flipped on its way, perhaps
                self._written_by_another(f"other events lie in {path}")
                return story.begun()
            following = same
        self._tell_dockings(told, following)
        return Told(told.story, following, told.next)

    def _fetched(self, name: str, first: int) -> bytes | None:
        return self._target.fetch(self._segment(name, first), self._check)

    def _retold(self, first: int, there: bytes | None) -> int | None:
        """The number of the event after those that lie there; None when they are not this catalog's."""
        return None if there is None else story.retold(self._generation.read(), first, there)

    def _tell_dockings(self, told: Told, following: int) -> None:
        db = self._generation.read()
        touched = story.dockings_touched(db, told.next, following)
        for docking, day in touched.items():
            for number, page in enumerate(story.clips_of(db, docking), start=1):
                more = f"-{number}" if number > 1 else ""
                self._replace(f"{told.story}/clips/{day}/{docking:06}{more}.jsonl", page)
        for day in sorted(set(touched.values())):
            self._replace(f"{told.story}/dockings/{day}.jsonl", story.dockings_of(db, day))

    def _tell_log(self, place: str) -> None:
        try:
            self._log.turn(place)
        except AnotherLog as error:
            self._written_by_another(f"another log lies in {error}")

    def _tell_status(self, told: Told, happened: int) -> None:
        """`happened`: the number of the last event as this turn began: whoever has been told of it knows all
        that had happened by then."""
        there = self._target.fetch(f"{self._author.id}/status.json", self._check)
        # One that was laid by an earlier run of this agent is replaced without a word.
        other = there is not None and self._laid and _instance(there) != self._author.instance
        self._strangers = self._strangers + 1 if other else 0
        if self._strangers >= _STRANGERS:
            self._written_by_another("its status is replaced by another one's again and again")
        said = {
            "format": FORMAT,
            "id": self._author.id,
            "instance": self._author.instance,
            "written_at": time.time(),
            "story": told.story,
            "events": told.next - 1,
            "of": happened,
            "address": self._author.address(),
            **self._author.status(),
        }
        text = json.dumps(said, ensure_ascii=False, indent=1)
        self._replace("status.json", text.encode("utf-8", "backslashreplace"))
        self._laid = True

    def _replace(self, path: str, data: bytes) -> None:
        self._target.lay(f"{self._author.id}/{path}", data, replace=True, check=self._check)

    def _segment(self, name: str, first: int) -> str:
        return f"{self._author.id}/{name}/log/{first:012}.jsonl"

    def _keep(self, place: str, told: Told) -> Told:
        self._generation.same_place(self._target, place)  # and not one that took its place meanwhile
        self._check()
        name = self._target.name
        self._generation.write(lambda tx, _: story.keep(tx, name, place, told))
        return told

    def _written_by_another(self, why: str) -> None:
        _log.critical("%s: somebody else writes as station %s: %s", self._target.name, self._author.id, why)
        self._twice_until, self._twice_in = self._monotonic() + DAY, self._author.log()


def _instance(status: bytes) -> str:
    try:
        said = json.loads(status)
    except (ValueError, RecursionError):
        return ""
    return str(said.get("instance", "")) if isinstance(said, dict) else ""
