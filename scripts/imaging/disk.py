"""The disk: a GPT with the boot partition, the first root slot, an empty second one, and room for data."""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.imaging.recipe import DISK_UUID, HERE, MIB, PARTITIONS, ROOT, Arch, environment, epoch, run

_FIRST = 1  # MiB
_END = 1  # MiB: the second copy of the table
_ENVIRONMENT = 1024  # bytes of GRUB's environment block
_SERIAL = "5a5d0001"


def assemble(image: Path, squashfs: Path, loader: Path, arch: Arch) -> None:
    """Write `image`, sparse."""
    offsets = _offsets()
    aside = image.with_suffix(".new")
    with aside.open("wb") as file:
        file.truncate((_FIRST + sum(p.size for p in PARTITIONS) + _END) * MIB)
    _table(aside)
    boot = image.with_suffix(".boot")
    _boot_partition(boot, loader, arch)
    _place(boot, aside, offsets["boot"])
    _place(squashfs, aside, offsets["root-a"])
    boot.unlink()
    aside.rename(image)


def _offsets() -> dict[str, int]:
    """Label → first byte."""
    at, offsets = _FIRST, {}
    for part in PARTITIONS:
        offsets[part.label] = at * MIB
        at += part.size
    return offsets


def _table(image: Path) -> None:
    lines = [f"label: gpt\nlabel-id: {DISK_UUID}"]
    lines += [f"size={p.size}MiB, type={p.type}, uuid={p.uuid}, name={p.label}" for p in PARTITIONS]
    subprocess.run(
        ["sfdisk", "--quiet", image], input="\n".join(lines), text=True, check=True, env=environment()
    )


def _boot_partition(target: Path, loader: Path, arch: Arch) -> None:
    folder = target.with_suffix(".files")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "boot", folder)
    (folder / "EFI/BOOT").mkdir(parents=True)
    shutil.copyfile(loader / "grub.efi", folder / "EFI/BOOT" / arch.loader)
    (folder / "grub/grubenv").write_bytes(
        grub_environment(ORDER="A B", A_OK="1", A_TRY="0", B_OK="0", B_TRY="0")
    )
    shutil.copyfile(ROOT / "config/station.yaml", folder / "station.yaml")
    if (loader / "pi").exists():
        shutil.copytree(loader / "pi", folder, dirs_exist_ok=True)
    else:
        (folder / "config.txt").unlink()
    with target.open("wb") as file:
        file.truncate(PARTITIONS[0].size * MIB)
    run("mformat", "-i", target, "-F", "-v", "STATION", "-N", _SERIAL, "::")
    for path in sorted(folder.rglob("*")):
        os.utime(path, (epoch(), epoch()))
        name = "::/" + str(path.relative_to(folder))
        if path.is_dir():
            run("mmd", "-i", target, name)
        else:
            run("mcopy", "-m", "-i", target, path, name)
    shutil.rmtree(folder)


def grub_environment(**variables: str) -> bytes:
    """As grub-editenv writes it: always so many bytes, so that GRUB can write it in place."""
    text = "# GRUB Environment Block\n" + "".join(f"{name}={value}\n" for name, value in variables.items())
    return text.encode().ljust(_ENVIRONMENT, b"#")


def _place(part: Path, image: Path, offset: int) -> None:
    """Copy, leaving holes where there is nothing."""
    run(
        "dd",
        f"if={part}",
        f"of={image}",
        "bs=1M",
        f"seek={offset // MIB}",
        "conv=notrunc,sparse",
        "status=none",
    )
