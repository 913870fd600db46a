"""Updates: a root file system, signed, as RAUC installs it into the slot that does not run."""

import shutil
import tempfile
from pathlib import Path

from scripts.imaging.recipe import run

_YEARS = 20  # a station may be updated after many years on a shelf


def keys(folder: Path) -> None:
    """Make `update.key.pem` (keep it off every station and off the network) and `update.cert.pem`, which is
    both the signer's certificate and the keyring of the images. Refuses to replace what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = folder / "update.key.pem", folder / "update.cert.pem"
    for path in (key, certificate):
        if path.exists():
            raise SystemExit(f"scripts/image keys: {path} exists; stations trust it, so it is not replaced")
    run("openssl", "req", "-batch", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", _YEARS * 366, "-subj", "/CN=recorder-station updates",
        "-keyout", key, "-out", certificate)  # fmt: skip
    key.chmod(0o600)


def make(squashfs: Path, target: Path, compatible: str, version: str, key: Path, certificate: Path) -> None:
    """Write `target`, a bundle in RAUC's verity format: every block is checked as it is read."""
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        content = Path(folder)
        shutil.copyfile(squashfs, content / "root.img")
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible={compatible}\nversion={version}\n\n"
            "[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=root.img\n"
        )
        run("rauc", "bundle", f"--cert={certificate}", f"--key={key}", content, target)
