"""`scripts/image`: build an image, make the keys that sign updates, make an update."""

import argparse
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from scripts.imaging import bundle, disk, rootfs
from scripts.imaging.recipe import ARCHES, version


def main() -> None:
    arguments = _parser().parse_args()
    arguments.call(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/image", description=__doc__)
    calls = parser.add_subparsers(required=True)
    build = calls.add_parser("build", help="a disk image to flash, and the root file system it holds")
    build.add_argument("--arch", choices=ARCHES, required=True)
    build.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    build.add_argument(
        "--keyring", type=Path, metavar="FILE", help="certificates that may sign updates (PEM)"
    )
    build.set_defaults(call=_build)
    keys = calls.add_parser("keys", help="a key and a certificate that sign updates")
    keys.add_argument("folder", type=Path)
    keys.set_defaults(call=lambda a: bundle.keys(a.folder))
    pack = calls.add_parser("bundle", help="a signed update from what `build` left in FOLDER")
    pack.add_argument("--from", dest="source", type=Path, required=True, metavar="FOLDER")
    pack.add_argument("--arch", choices=ARCHES, required=True)
    pack.add_argument("--key", type=Path, required=True)
    pack.add_argument("--cert", type=Path, required=True)
    pack.set_defaults(call=_bundle)
    return parser


def _build(arguments: argparse.Namespace) -> None:
    if os.geteuid() != 0:
        raise SystemExit("scripts/image build needs root: it makes a root file system with its owners")
    arch, out = ARCHES[arguments.arch], arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="station-image-", dir=out) as folder:
        work = Path(folder)
        work.chmod(0o755)
        packed = rootfs.build(work, arch, arguments.keyring)
        disk.assemble(out / f"station-{arch.name}.img", packed, work / "loader", arch)
        shutil.move(packed, out / f"station-{arch.name}.squashfs")
        shutil.move(work / "packages.txt", out / f"station-{arch.name}.packages")
    for name in (f"station-{arch.name}.img", f"station-{arch.name}.squashfs"):
        with (out / name).open("rb") as file:
            print(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {out / name}")


def _bundle(arguments: argparse.Namespace) -> None:
    name = f"station-{arguments.arch}"
    bundle.make(arguments.source / f"{name}.squashfs", arguments.source / f"{name}.raucb",
                f"recorder-station-{arguments.arch}", version(), arguments.key, arguments.cert)  # fmt: skip


main()
