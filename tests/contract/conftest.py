"""The kits, one for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.kits import FolderKit
from tests.contract.s3_kit import S3Kit
from tests.servers.weed import Weed


@pytest.fixture
def folder_kit(tmp_path: Path) -> FolderKit:
    return FolderKit(tmp_path)


@pytest.fixture
def s3_kit(weed: Weed) -> Iterator[S3Kit]:
    with S3Kit(weed) as kit:
        yield kit
