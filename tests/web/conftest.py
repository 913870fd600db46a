"""A running station per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.station import Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with Station(tmp_path) as running:
        yield running
