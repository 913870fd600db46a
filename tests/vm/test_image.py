"""The image as a file: what two builders of the same tree would get."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.vm.station import image

ROOT = Path(__file__).parents[2]


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.vm_full
def test_two_builds_of_one_tree_are_the_same_to_the_byte(tmp_path: Path) -> None:
    """From another folder. Both are of the last commit that touched an input of the image."""
    tree = tmp_path / "tree"
    subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
    keyring = image().parent / "keys/update.cert.pem"
    command: list[str | Path] = [
        tree / "scripts/image",
        "build",
        "--arch",
        "amd64",
        "--out",
        tmp_path,
        "--keyring",
        keyring,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in ("station-amd64.squashfs", "station-amd64.img"):
        assert digest(tmp_path / name) == digest(image().parent / name), name
