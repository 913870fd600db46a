"""`scripts/setup` on a machine that lacks what it needs, or has some of it already."""

import hashlib
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
    assert (ran.returncode, ran.stderr) == (2, "usage: scripts/setup [--demo | --dev]\n")


def test_what_serves_is_added_to_and_never_taken_away(checkout: Path) -> None:
    """An agent may run on it."""
    python = program(checkout / ".venv/bin/python", 'echo "$*" >>"$0.calls"')
    locks = [file.read_bytes() for file in (*sorted(checkout.glob("*.lock")), checkout / "pyproject.toml")]
    digest = hashlib.sha256(b"".join([f"{checkout}\n".encode(), *locks])).hexdigest()
    (checkout / ".venv" / "made-from-requirements.lock").write_text(digest)
    for _ in range(2):
        assert setup(checkout, "--demo").returncode == 0
    calls = [line for line in python.with_name("python.calls").read_text().splitlines() if "-m" in line]
    assert len(calls) == 1
    assert calls[0].startswith("-m pip ")
    assert calls[0].endswith("--require-hashes -r requirements-demo.lock")


def test_a_machine_that_cannot_have_seaweedfs_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "demo", tmp_path / "scripts" / "demo")
    program(tmp_path / "scripts" / "setup", '[ "${1:-}" != --demo ]')
    program(tmp_path / ".venv/bin/python", 'echo "$*"')

    def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "scripts" / "demo"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    ran = demo("--once", "--json")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "run scripts/demo --store folder" in ran.stderr
    assert demo("--once", "--store", "folder").stdout == "-P -m scripts.demo --once --store folder\n"


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
