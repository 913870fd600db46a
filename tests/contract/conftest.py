"""The kits, one for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.kits import FolderKit
from tests.contract.s3_kit import S3Kit
from tests.contract.tus_kit import NodeKit, ResumableKit, WeedTusKit
from tests.servers.tus_node import TusNode
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import Weed


@pytest.fixture
def folder_kit(tmp_path: Path) -> FolderKit:
    return FolderKit(tmp_path)


@pytest.fixture
def s3_kit(weed: Weed) -> Iterator[S3Kit]:
    with S3Kit(weed) as kit:
        yield kit


@pytest.fixture
def weed_tus_kit(weed: Weed) -> Iterator[WeedTusKit]:
    with WeedTusKit(weed) as kit:
        yield kit


@pytest.fixture
def tus_node_kit(tus_node: TusNode) -> NodeKit:
    return NodeKit(tus_node)


@pytest.fixture
def tus_resumable_kit(tus_resumable: TusResumable) -> ResumableKit:
    return ResumableKit(tus_resumable)
