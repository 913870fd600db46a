"""The agent and its locked dependencies for the image's Python, as one folder.

Wheels come for the image's processor and Python, not for the builder's; nothing enters whose digest is not in
the lock.
"""

import shutil
import sys
from pathlib import Path

from scripts.imaging.recipe import PYTHON, ROOT, Arch, git, run

#: Published as source alone, and pure Python: its wheel is the same everywhere.
SOURCE_ONLY = ("sdnotify",)
#: Of each package: what pip notes for itself. It tells where the builder's folders were.
_NOTES = ("RECORD", "direct_url.json", "REQUESTED", "INSTALLER")


def make(folder: Path, arch: Arch) -> None:
    """Fill `folder` with packages, without what only pip or a shell needs of them."""
    work = folder.with_name(folder.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    binary, source = _split((ROOT / "requirements.lock").read_text())
    (work / "binary.lock").write_text(binary)
    (work / "source.lock").write_text(source)
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
    platforms = [f"--platform={platform}" for platform in arch.wheels]
    target = ("--target", folder, "--no-deps", "--no-compile")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--require-hashes", "-r", work / "source.lock",
        "-w", work)  # fmt: skip
    run(*pip, "install", *target, "--require-hashes", "--only-binary=:all:", *platforms,
        f"--python-version={PYTHON}", "-r", work / "binary.lock")  # fmt: skip
    run(*pip, "install", *target, *sorted(work.glob("*.whl")))
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for note in (path for name in _NOTES for path in folder.glob(f"*.dist-info/{name}")):
        note.unlink()
    shutil.rmtree(work)
    _copy_ours(folder)


def _split(lock: str) -> tuple[str, str]:
    """(requirements with wheels, requirements without)."""
    entries = lock.replace("\\\n", " ").splitlines()
    source = [entry for entry in entries if entry.split("==")[0] in SOURCE_ONLY]
    return "\n".join(entry for entry in entries if entry not in source), "\n".join(source)


def _copy_ours(folder: Path) -> None:
    """What git knows of our packages: no caches, no leftovers."""
    for name in git(
        "ls-files", "--cached", "--others", "--exclude-standard", "agent", "drivers"
    ).splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
