"""For all tests: the header says what cannot be tested here, and hypothesis is the same in every CI run.

Tests that boot the station's image take minutes: they run when `--vm` or their folder's name asks for them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import here

VM = Path(__file__).with_name("vm")

pytest_plugins = ["tests.elsewhere", "tests.servers.fixtures", "tests.exporting", "pytester"]

settings.register_profile("station", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("station")


def pytest_report_header() -> list[str]:
    return here.report()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vm", action="store_true", help="also run tests/vm, which boot the station's image")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = config.getoption("--vm") or any("vm" in Path(arg.split("::")[0]).parts for arg in config.args)
    return True if collection_path == VM and not asked else None


@pytest.fixture
def trusted_clock() -> Iterator[None]:
    """As on a station that a time service keeps: this machine may have none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.clock.synchronised", lambda: True)
        yield
