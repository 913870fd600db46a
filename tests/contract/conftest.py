"""The kits, one for each test."""

from pathlib import Path

import pytest

from agent.upload.targets.s3.sign import Credentials
from tests.contract.kits import FolderKit
from tests.contract.s3_kit import S3Kit


@pytest.fixture
def folder_kit(tmp_path: Path) -> FolderKit:
    return FolderKit(tmp_path)


@pytest.fixture
def s3_kit() -> S3Kit:
    return S3Kit("http://127.0.0.1:8333", "http://127.0.0.1:8888", Credentials("admin", "admin-secret"))
