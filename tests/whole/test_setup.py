"""`scripts/setup` on a machine that lacks what it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cat", "cut", "dirname", "sha256sum")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout on a machine without any Python."""
    checkout, tools = tmp_path / "checkout", tmp_path / "bin"
    (checkout / "scripts").mkdir(parents=True)
    tools.mkdir()
    for file in (ROOT / "scripts" / "setup", ROOT / "pyproject.toml", *ROOT.glob("requirements*.lock")):
        shutil.copy(file, checkout / file.relative_to(ROOT))
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return checkout


def setup(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = str(checkout.parent / "bin")
    command = [str(checkout / "scripts" / "setup"), *arguments]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["", "#!/bin/sh\nexit 1\n"], ids=["no python", "an old python"])
def test_a_machine_without_a_new_enough_python_is_told_so(checkout: Path, script: str) -> None:
    if script:
        python = checkout.parent / "bin" / "python3"
        python.write_text(script)
        python.chmod(0o755)
    ran = setup(checkout)
    assert ran.returncode == 1
    assert "no Python >= 3.11 with venv" in ran.stderr
    assert not (checkout / ".venv").exists()


def test_an_unknown_argument_is_refused(checkout: Path) -> None:
    ran = setup(checkout, "--devel")
    assert (ran.returncode, ran.stderr) == (2, "usage: scripts/setup [--dev]\n")
