"""Docks recorders and cuts the power over and over, lets the station finish, judges: what `tests.crash` does
to the agent's process, done to the whole machine. The judgement is the same one.

A recorder that is shown as collected is gone for good in that moment. The rack is kept full while cuts are to
come, so that every cut finds work under way.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from agent.status.shape import SlotShape, StatusShape
from tests.crash import verdict, wreck
from tests.crash.promises import Broken, Promises
from tests.crash.rack import Contents, contents
from tests.vm.disk import DATA, Disk
from tests.vm.guest import PATIENCE
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import MIB, Card, FileSystem, Table, held, recorder

STORE = "/var/lib/recorder-station"
_KINDS: tuple[tuple[FileSystem, Table], ...] = (("exfat", "mbr"), ("fat32", "none"), ("fat32", "mbr"))
_SIZES = ((12, 40_000), (2, 10 * MIB), (5, 600_000))  # clips of a recorder, bytes of a clip
_LONGEST = 12.0  # seconds of work before a cut that is left to chance
_PAUSE = 60.0
_GLANCE = 0.2
_FINISH = 2 * PATIENCE


class PromisesOfAStation(Promises):
    """What is said to be stored is looked for in the guest, what is said to be confirmed outside of it."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(Path(STORE), machine.centre)
        self._machine = machine

    def _look(self, row: Mapping[str, Any], folder: Path, said: str) -> None:
        if folder != self.store:
            super()._look(row, folder, said)
        elif self._machine.guest.size(f"{STORE}/clips/{row['key']}") != row["size"]:
            raise Broken(f"clip {row['id']} is said to be {said}, and {row['key']} is not it")


@dataclass
class PowerCuts:
    """`machine` is on. Each of its methods raises Broken when something that was said is not true."""

    machine: Machine
    shelf: Path
    seed: int
    slots: int = 4
    docked: dict[str, str] = field(default_factory=dict)  # slot -> recorder
    contents: dict[str, Contents] = field(default_factory=dict)  # of every recorder there ever was
    redocked: list[str] = field(default_factory=list)  # what the slot said: officers do as it says
    filling: bool = True  # while cuts are to come
    cuts: list[str] = field(default_factory=list)  # the kinds of them
    caught: list[set[str]] = field(default_factory=list)  # the states of clips at each cut
    boots: list[float] = field(default_factory=list)  # seconds from power to READY, after a cut

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.promises = PromisesOfAStation(self.machine)
        self.status: StatusShape | None = None
        self._tried: dict[str, float] = {}  # when a recorder was docked again

    def run(self, cuts: int) -> None:
        moments = [_while_starting, _some_time_later, _while_collecting, _as_a_recorder_is_taken]
        while len(self.cuts) < cuts:
            for moment in self.rng.sample(moments, len(moments))[: cuts - len(self.cuts)]:
                self._cut_at(moment)
        self.finish()

    def finish(self) -> None:
        """No cut any more: everything must arrive."""
        self.filling = False
        self._until(self._done, _FINISH)
        self.machine.power_off()
        data = Disk(self.machine.disk).data(self.machine.folder / "data")
        if found := verdict.faults(data / "recorder-station", self.machine.centre, self.contents):
            raise Broken("\n".join(found))

    def summary(self) -> Counter[str]:
        """At how many cuts a clip was in which state."""
        return wreck.tally(self.caught)

    def _cut_at(self, moment: "Moment") -> None:
        come = moment(self)
        self._fill()
        self._until(come, PATIENCE)
        self.machine.kill()
        self.caught.append(self._states_left())
        self.cuts.append(moment.__name__.strip("_"))
        self.status = None
        self.promises.settled = 0  # everything that was said is asked again
        self.machine.start()
        for slot, number in self.docked.items():
            self.machine.plug(self._image(number), SLOTS[slot])

    def _until(self, come: Callable[[], bool], within: float) -> None:
        end = time.monotonic() + within
        while not come():
            if time.monotonic() > end:
                raise Broken(f"it does not come that far: {self.status}\n{self.machine.last_words()}")
            self._look()
            time.sleep(_GLANCE)

    def _look(self) -> None:
        if self.status is None and not self.machine.guest.answers(_GLANCE):
            return  # still starting
        status = self.machine.guest.status()
        if status is None:
            return
        if status["ready"] and not (self.status and self.status["ready"]):
            self.boots.append(time.monotonic() - self.machine.started)
        self._take_what_is_collected(status)
        if self.filling:
            self._fill()
        self.status = status
        self.promises.hear(status)
        after = self.promises.settled
        self.promises.hear_clips(self.machine.guest.clips(after), after)

    def _take_what_is_collected(self, status: StatusShape) -> None:
        for shown in status["slots"]:
            number = self.docked.get(shown["slot"])
            if number and shown["state"] == "collected" and shown["recorder"] == number:
                self.machine.pull(SLOTS[shown["slot"]])
                self._image(number).unlink()
                del self.docked[shown["slot"]]
            elif number and shown["state"] in ("incomplete", "failed", "stuck"):
                self._dock_again(number, shown)

    def _dock_again(self, number: str, shown: SlotShape) -> None:
        """Not at once: what the slot shows may be what was there before."""
        if time.monotonic() < self._tried.get(number, 0) + _PAUSE:
            return
        self._tried[number] = time.monotonic()
        self.redocked.append(f"{number}: {shown['state']} {shown['problems']}")
        self.machine.pull(SLOTS[shown["slot"]])
        self.machine.plug(self._image(number), SLOTS[shown["slot"]], serial=number)

    def _fill(self) -> None:
        for slot in list(SLOTS)[: self.slots]:
            if slot not in self.docked:
                number = f"{2_000_000 + len(self.contents)}"
                turn = len(self.contents) % len(_KINDS)
                clips, size = _SIZES[turn]
                image = recorder(
                    self._image(number), Card(number, *_KINDS[turn]), clips=clips, size=size, seed=self.seed
                )
                self.contents[number] = contents(held(image))
                shutil.rmtree(held(image))
                self.docked[slot] = number
                self.machine.plug(image, SLOTS[slot], serial=number)

    def _done(self) -> bool:
        status = self.status
        return (
            status is not None
            and not self.docked
            and status["queue"]["clips"] == 0
            and status["clips"]["copying"] == 0
        )

    def _states_left(self) -> set[str]:
        """On a copy: what the cut left is what the next start finds."""
        disk = Disk(self.machine.disk)
        if not any(part.name == DATA for part in disk.partitions()):
            return {"no data partition yet"}
        data = disk.data(self.machine.folder / "data", "/recorder-station/catalog")
        return wreck.caught(data)

    def _image(self, number: str) -> Path:
        return self.shelf / f"{number}.img"


Moment = Callable[[PowerCuts], Callable[[], bool]]


def _while_starting(cuts: PowerCuts) -> Callable[[], bool]:
    """Anywhere between firmware and READY."""
    after = cuts.rng.uniform(5, 1.1 * max(cuts.boots, default=60))
    return lambda: time.monotonic() - cuts.machine.started > after


def _some_time_later(cuts: PowerCuts) -> Callable[[], bool]:
    return _after(lambda: cuts.status is not None and cuts.status["ready"], cuts.rng.uniform(0, _LONGEST))


def _while_collecting(cuts: PowerCuts) -> Callable[[], bool]:
    def collecting() -> bool:
        slots = cuts.status["slots"] if cuts.status else []
        return any(slot["bytes_done"] and slot["state"] == "collecting" for slot in slots)

    return _after(collecting, cuts.rng.uniform(0, 2))


def _as_a_recorder_is_taken(cuts: PowerCuts) -> Callable[[], bool]:
    """The moment in which a promise is worth most: its recorder has just been erased at home."""
    before = len(cuts.contents) - len(cuts.docked)
    return lambda: len(cuts.contents) - len(cuts.docked) > before


def _after(condition: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    since: list[float] = []

    def come() -> bool:
        if not since and condition():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return come
