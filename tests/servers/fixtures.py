"""One of each server for a whole run, started when the first test asks for it. A test that stops one takes
a server of its own."""

from collections.abc import Iterator

import pytest

from tests.here import require
from tests.servers.tus_node import TusNode
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import Weed


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with Weed(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture(scope="session")
def tus_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TusNode]:
    require("node")
    with TusNode(tmp_path_factory.mktemp("tus-node")) as running:
        yield running


@pytest.fixture(scope="session")
def tus_resumable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TusResumable]:
    with TusResumable(tmp_path_factory.mktemp("tus-resumable")) as running:
        yield running
