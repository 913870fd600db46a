"""The root file system: Debian's packages, our files, compiled, cleaned, dated, packed as squashfs.

mmdebstrap does the first half; its hooks put our files in before the kernel is installed (its initramfs holds
some of them) and run `customize` in the finished tree.
"""

import os
import shutil
from pathlib import Path

from scripts.imaging import site
from scripts.imaging.recipe import HERE, ROOT, SUITE, Arch, epoch, run, version

_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    # Of the browser: the languages of its own words, which nobody sees, and what draws by graphics cards: the
    # kiosk is drawn by the processor.
    "/usr/lib/chromium/locales/*",
    "/usr/lib/chromium/libv[kV]*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libgallium*",
    "/usr/lib/*/libz3*",
    "/usr/share/icons/Adwaita/*/*",
)
_INCLUDED = ("/usr/lib/chromium/locales/en-US.pak",)


def build(work: Path, arch: Arch, keyring: Path | None) -> Path:
    """Make `work/root.squashfs`; beside it `loader/`, what the boot partition needs of the packages."""
    root, overlay = work / "root", work / "overlay"
    _overlay(overlay, arch, keyring)
    hook = f"{HERE}/customize {arch.name} {arch.grub} {arch.grub_package} {work}"
    run(
        "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--architectures={arch.name}",
        "--components=main,non-free-firmware",
        '--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        *(f"--dpkgopt=path-include={pattern}" for pattern in _INCLUDED),
        f"--include={','.join(_packages(arch))}",
        f'--essential-hook=cp -a {overlay}/. "$1"/',
        f'--customize-hook={hook} "$1"',
        SUITE, root,
    )  # fmt: skip
    packed = work / "root.squashfs"
    # gzip, because GRUB reads the kernel out of it. SOURCE_DATE_EPOCH also bounds the times of its files.
    run("mksquashfs", root, packed, "-comp", "gzip", "-noappend", "-no-progress", "-quiet")
    shutil.rmtree(root)
    return packed


def _packages(arch: Arch) -> list[str]:
    lines = [
        line
        for name in ("common", arch.name)
        for line in (HERE / f"packages/{name}.txt").read_text().split("\n")
    ]
    return [line for line in lines if line and not line.startswith("#")]


def _overlay(overlay: Path, arch: Arch, keyring: Path | None) -> None:
    """Everything that is ours, as it will lie in the root."""
    _copy(HERE / "rootfs", overlay)
    for folder in ("data", "boot"):
        (overlay / folder).mkdir(parents=True)
    run(ROOT / "scripts/install", "--root", overlay)
    place = overlay / "usr/lib/recorder-station"
    site.make(place / "python", arch)
    (place / "image").write_text(f"version={version()}\narch={arch.name}\n")
    rauc = overlay / "etc/rauc/system.conf"
    rauc.write_text(rauc.read_text().replace("@ARCH@", arch.name))
    # Without a keyring no bundle is ever accepted.
    (overlay / "etc/rauc/keyring.pem").write_bytes(keyring.read_bytes() if keyring else b"")
    (overlay / "etc/recorder-station").symlink_to("/run/recorder-station-config")
    for path in [overlay, *overlay.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        # Not when the builder checked them out: the tools keep times that are older than the commit's.
        os.utime(path, (epoch(), epoch()), follow_symlinks=False)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
