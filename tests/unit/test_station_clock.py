"""The station's clock is believed while somebody vouches for it who knows, and never for longer."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.clock import AGREES, FRESH, JUMP, Clock
from agent.retention.clockwatch import ClockWatch

NOW = 1_790_000_000.0


@dataclass
class Machine:
    wall: float = NOW
    passed: float = 100.0
    synchronised: bool = False
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """The agent."""
        self.clock = Clock(lambda: self.synchronised, lambda: self.wall, lambda: self.passed)

    def wait(self, seconds: float) -> None:
        self.wall, self.passed = self.wall + seconds, self.passed + seconds

    def hears(self, ahead: float = 0.0) -> None:
        """From a server that is so much ahead."""
        self.clock.heard(formatdate(self.wall + ahead, usegmt=True))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("ahead", [0.0, AGREES - 1, 1 - AGREES])
def test_a_server_that_agrees_is_enough_for_a_day(ahead: float) -> None:
    machine = Machine()
    assert not machine.clock.trusted()
    machine.hears(ahead)
    assert machine.clock.trusted()
    machine.wait(FRESH)
    assert machine.clock.trusted()
    machine.wait(1)
    assert not machine.clock.trusted()
    machine.hears(ahead)
    assert machine.clock.trusted()


@pytest.mark.parametrize("ahead", [AGREES + 2, -AGREES - 2, 20 * 365 * JUMP, -20 * 365 * JUMP])
def test_a_server_that_does_not_agree_vouches_for_nothing(ahead: float) -> None:
    machine = Machine()
    machine.clock.vouch(machine.wall - machine.passed)
    assert machine.clock.trusted()
    machine.hears(ahead)
    assert not machine.clock.trusted()


def test_a_clock_that_is_set_loses_the_word_that_was_given_for_it() -> None:
    machine = Machine()
    machine.hears()
    machine.wall += AGREES + 2
    assert not machine.clock.trusted()
    machine.wall -= AGREES
    assert machine.clock.trusted()


def test_a_time_service_is_believed_by_minutes_but_not_by_days_against_the_server() -> None:
    machine = Machine(synchronised=True)
    machine.hears(AGREES * 2)
    assert machine.clock.trusted()
    machine.wait(AGREES)
    machine.hears(-JUMP - 2)
    assert not machine.clock.trusted()
    machine.wait(AGREES)
    machine.hears()
    assert machine.clock.trusted()


@pytest.mark.parametrize("date", ["", "soon", "Thu, 99 Foo 2026 00:00:00 GMT", "0" * 5000])
def test_what_is_no_time_says_nothing(date: str) -> None:
    machine = Machine()
    machine.clock.heard(date)
    assert not machine.clock.trusted()
    machine.hears()
    assert machine.clock.trusted()


def test_what_an_administrator_said_outlives_the_agent_but_not_the_machine(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    watch = ClockWatch(catalog, machine.clock)
    assert watch.now() is None
    _, said = watch.confirm({"name": "p1"})
    assert said == watch.now() == NOW
    machine.wait(30 * JUMP)
    machine.start()
    assert ClockWatch(catalog, machine.clock).now() == machine.wall
    machine.wall += AGREES + 2
    assert not machine.clock.trusted()
    machine.wall -= AGREES + 2
    monkeypatch.setattr("agent.retention.clockwatch.boot_id", lambda: "another")
    machine.start()
    assert ClockWatch(catalog, machine.clock).now() is None


def test_a_server_does_not_lift_what_a_jump_has_suspended(catalog: Catalog) -> None:
    machine = Machine()
    machine.hears()
    watch = ClockWatch(catalog, machine.clock)
    assert watch.now() == NOW
    machine.wait(3600)
    machine.wall += 2 * JUMP
    machine.hears()
    assert watch.now() is None
    watch.confirm({"name": "p1"})
    assert watch.now() == machine.wall


@pytest.mark.parametrize("synchronised", [False, True])
def test_a_jump_right_after_somebody_said_that_it_is_right_is_a_jump(
    catalog: Catalog, synchronised: bool
) -> None:
    machine = Machine(synchronised=synchronised)
    watch = ClockWatch(catalog, machine.clock)
    watch.confirm({"name": "p1"})
    machine.wall -= 700 * JUMP
    machine.clock.vouch(machine.wall - machine.passed)  # whoever vouches for it now
    assert watch.now() is None


def test_how_far_it_is_off_is_told_while_a_server_was_heard_within_a_day() -> None:
    machine = Machine()
    assert machine.clock.offset() is None
    machine.hears(ahead=-30.0)
    assert machine.clock.offset() == 30
    machine.wall += 5  # somebody sets it
    assert machine.clock.offset() == 35
    machine.wait(FRESH)
    assert machine.clock.offset() == 35
    machine.wait(1)
    assert machine.clock.offset() is None
