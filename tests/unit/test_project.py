"""The project's own promises: locked dependencies, one version, nothing that ties it to one machine."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import agent

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-demo.lock", "requirements-dev.lock")
# One letter of each stands in brackets, so that this file names none of what it looks for.
FORBIDDEN = re.compile(
    r"p[y]pi\.org|python[h]osted\.org|(deb|security)\.d[e]bian\.org|registry\.n[p]mjs"
    r"|/w[o]rk/(main|shared|steering|notes|venv)|/tmp/b[a]sh_jobs|/opt/p[y]pi"
)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Distribution → (version, number of digests)."""
    entries = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    found: dict[str, tuple[str, int]] = {}
    for entry in entries:
        pin, *hashes = re.split(r"\s+(?=--hash)", entry.strip())
        requirement = Requirement(pin)
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert all(HASH.fullmatch(h) for h in hashes), entry
        found[canonicalize_name(requirement.name)] = specifier.version, len(hashes)
    return found


def needed(lock: str) -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    groups = {
        "requirements-build.lock": PROJECT["build-system"]["requires"],
        "requirements.lock": PROJECT["project"]["dependencies"],
        "requirements-demo.lock": PROJECT["project"]["dependencies"] + extras["demo"],
        "requirements-dev.lock": PROJECT["project"]["dependencies"]
        + extras["demo"]
        + [line for line in extras["dev"] if line != "recorder-station[demo]"],
    }
    return [Requirement(line) for line in groups[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked_with_its_digests(lock: str) -> None:
    pins = locked(lock)
    for requirement in needed(lock):
        pinned, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"run scripts/lock: {requirement} is not {pinned}"
    assert all(hashes for _, hashes in pins.values())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_fetch_from(lock: str) -> None:
    assert not re.search(r"https?:|file:|index-url|find-links|trusted-host", (ROOT / lock).read_text())


def test_the_station_has_nothing_of_the_demo() -> None:
    extra = PROJECT["project"]["optional-dependencies"]["demo"]
    assert (
        not {canonicalize_name(Requirement(line).name) for line in extra} & locked("requirements.lock").keys()
    )


def test_a_lock_of_another_language_names_no_place_either() -> None:
    text = (ROOT / "tests/servers/tus-node/package-lock.json").read_text()
    modules = {name: module for name, module in json.loads(text)["packages"].items() if name}
    assert modules
    assert all(module["integrity"].startswith("sha512-") for module in modules.values())
    assert not any("resolved" in module for module in modules.values())


@pytest.mark.parametrize("lock", ["requirements-demo.lock", "requirements-dev.lock"])
def test_demo_and_tests_run_with_the_versions_that_serve(lock: str) -> None:
    """`scripts/setup` adds to what serves, and never changes it."""
    pins = locked(lock)
    assert {name: pins.get(name) for name in locked("requirements.lock")} == locked("requirements.lock")


def test_tests_run_with_the_store_of_the_demo() -> None:
    dev = locked("requirements-dev.lock")
    assert {name: dev.get(name) for name in locked("requirements-demo.lock")} == locked(
        "requirements-demo.lock"
    )


def sources(*tops: str) -> Iterator[Path]:
    return (path for top in tops for path in sorted((ROOT / top).rglob("*.py")))


def test_the_station_imports_only_what_its_lock_installs() -> None:
    pins, origin = locked("requirements.lock"), packages_distributions()
    for path in sources("agent", "drivers"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            )
            for top in {name.split(".")[0] for name in names} - {"agent", "drivers"}:
                known = top in sys.stdlib_module_names
                assert known or {canonicalize_name(d) for d in origin[top]} & pins.keys(), f"{path}: {top}"


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert version("recorder-station") == agent.__version__


def test_no_file_is_tied_to_a_registry_or_to_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    names = [ROOT / name for name in listed.decode().split("\0") if name]
    assert ROOT / "pyproject.toml" in names
    found = [
        str(path) for path in names if path.is_file() and FORBIDDEN.search(path.read_text(errors="replace"))
    ]
    assert not found


def test_what_the_code_reads_beside_itself_is_installed_with_it() -> None:
    """A data file that `package-data` does not name is there in a checkout and gone from a wheel."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    for top in ("agent", "drivers"):
        listed = {path for pattern in patterns[top] for path in (ROOT / top).glob(pattern)}
        data = {p for p in (ROOT / top).rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
        assert data <= listed, f"not in package-data: {sorted(data - listed)}"
