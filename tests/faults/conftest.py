"""A bucket of its own for each test, and a bad network in front of the server."""

from collections.abc import Iterator

import pytest

from tests.contract.s3_kit import S3Kit
from tests.servers.proxy import FaultProxy
from tests.servers.weed import Weed


@pytest.fixture
def kit(weed: Weed) -> Iterator[S3Kit]:
    """With the mark of a station that was there before."""
    with S3Kit(weed) as made:
        made.target()
        yield made


@pytest.fixture
def proxy(weed: Weed) -> Iterator[FaultProxy]:
    with FaultProxy(weed.ports[0]) as made:
        yield made
