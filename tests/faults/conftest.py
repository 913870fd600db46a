"""A bucket of its own for each test, and a bad network in front of the server."""

from collections.abc import Iterator

import pytest

from tests.contract.s3_kit import S3Kit
from tests.contract.tus_kit import NodeKit, ResumableKit, TusKit, WeedTusKit
from tests.servers.proxy import FaultProxy
from tests.servers.tus_node import TusNode
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


@pytest.fixture(params=["weed", "tus_node", "tus_resumable"])
def tus(request: pytest.FixtureRequest) -> Iterator[TusKit]:
    """Each server that speaks tus; what it has of others is not seen."""
    server = request.getfixturevalue(request.param)
    if isinstance(server, Weed):
        with WeedTusKit(server) as made:
            yield made
    else:
        yield NodeKit(server) if isinstance(server, TusNode) else ResumableKit(server)


@pytest.fixture
def line(tus: TusKit) -> Iterator[FaultProxy]:
    """A bad network in front of it."""
    with FaultProxy(tus.port) as made:
        yield made
