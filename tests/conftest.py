"""For all tests: the header says what cannot be tested here, and hypothesis is the same in every CI run."""

import os

from hypothesis import settings

from tests import here

pytest_plugins = ["tests.elsewhere", "pytester"]

settings.register_profile("station", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("station")


def pytest_report_header() -> list[str]:
    return here.report()
