"""Updates for the image under test, signed with the key that was made beside it (`scripts/test`)."""

import shutil
import subprocess
from pathlib import Path

from scripts.imaging import bundle
from tests.vm.station import image

ARCH = "amd64"
_NEVER_READY = "#!/bin/sh\n# Starts, and is never ready.\nexec sleep infinity\n"


def good(target: Path) -> Path:
    """The same root file system once more."""
    return _signed(image().with_suffix(".squashfs"), target, "9.0.0")


def never_ready(target: Path) -> Path:
    """One whose agent does not come up."""
    tree, packed = target.with_suffix(".tree"), target.with_suffix(".squashfs")
    try:
        _run("unsquashfs", "-quiet", "-no-progress", "-d", tree, image().with_suffix(".squashfs"))
        (tree / "usr/bin/recorder-station").write_text(_NEVER_READY)
        _run("mksquashfs", tree, packed, "-comp", "gzip", "-Xcompression-level", "1", "-noappend", "-quiet",
             "-no-progress")  # fmt: skip
        return _signed(packed, target, "9.0.1")
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        packed.unlink(missing_ok=True)


def tampered(source: Path, target: Path) -> Path:
    """One bit in the middle of the content is another one."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(target.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    return target


def _signed(squashfs: Path, target: Path, version: str) -> Path:
    keys = image().parent / "keys"
    key, certificate = keys / "update.key.pem", keys / "update.cert.pem"
    bundle.make(squashfs, target, f"recorder-station-{ARCH}", version, key, certificate)
    return target


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
