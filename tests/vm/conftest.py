"""Fixtures of the VM suite. A boot takes a minute or two under emulation, so most tests share one station:
`rack`, ready and with every port empty. A test that cuts the power, or wants another disk or configuration,
takes `boot`. What a machine said last stands in the report of a test that fails.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests import here
from tests.vm.machine import Hardware, Machine
from tests.vm.station import Order, station

Boot = Callable[..., Machine]

_figures: list[str] = []  # measured, for the end of the report
_machines: dict[Machine, None] = {}  # that are on


@pytest.fixture(scope="session", autouse=True)
def _can_run_here() -> None:
    here.require("qemu", "image")


@contextlib.contextmanager
def running(folder: Path, order: Order | None) -> Iterator[Machine]:
    machine = station(folder, order)
    _machines[machine] = None
    try:
        with machine:
            yield machine
    finally:
        del _machines[machine]
        machine.disk.unlink()  # pytest keeps the folders of three runs


@pytest.fixture
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boot]:
    """`boot(Order(…))` switches a station on and returns its machine; it is switched off after the test."""
    with contextlib.ExitStack() as stack:

        def switch_on(order: Order | None = None) -> Machine:
            return stack.enter_context(running(tmp_path_factory.mktemp("vm") / "m", order))

        yield switch_on


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With a dead battery in its clock, and no network: as bad as it may be, and still it collects."""
    order = Order(hardware=Hardware(clock="1980-01-01T00:00:00"))
    with running(tmp_path_factory.mktemp("vm") / "m", order) as machine:
        machine.until_ready()
        yield machine


@pytest.fixture
def rack(_shared: Machine) -> Iterator[Machine]:
    """The station that tests share, ready. Each uses recorders of its own number."""
    if not _shared.alive:  # a test before this one cut its power
        _shared.start()
        _shared.until_ready()
    _shared.guest.until_ready()
    yield _shared
    _shared.pull_all()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A folder for the images of recorders."""
    path = tmp_path / "shelf"
    path.mkdir()
    yield path
    for image in path.glob("*.img"):
        image.unlink()


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Takes a line that the end of the report shows."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("measured")
        for line in _figures:
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for number, machine in enumerate(_machines):
            report.sections.append((f"machine {number}", machine.last_words()))
    return report
