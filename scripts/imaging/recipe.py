"""What does not change between two builds: architectures, partitions, the moment that all files are dated.

Two builds of one tree give one digest as long as Debian's archive answers the same: every file carries at
most the time of the last commit that touched what the image is made from (the file `inputs` lists it), and
no identifier is drawn at random. What must differ between stations is made at their first boot.
"""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SUITE = "trixie"
PYTHON = "3.13"  # the suite's
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Arch:
    name: str  # Debian's
    grub: str  # GRUB's platform
    grub_package: str
    loader: str  # where UEFI looks on a disk that it does not know
    wheels: tuple[str, ...]  # platforms of binary wheels that run on it, the newest first


ARCHES = {
    "amd64": Arch(
        "amd64",
        "x86_64-efi",
        "grub-efi-amd64-bin",
        "BOOTX64.EFI",
        ("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
    ),
    "arm64": Arch(
        "arm64",
        "arm64-efi",
        "grub-efi-arm64-bin",
        "BOOTAA64.EFI",
        ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
    ),
}

_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@dataclass(frozen=True, slots=True)
class Partition:
    label: str
    size: int  # MiB
    type: str
    uuid: str


#: In this order from 1 MiB on. A layout cannot change in the field, so both slots have room for years.
#: The last one is made and grown at the first boot: its label says that it is new.
PARTITIONS = (
    Partition("boot", 256, _ESP, "5a5d0001-7e61-4b1c-9a51-3d6f0c2b9e01"),
    Partition("root-a", 1536, _LINUX, "5a5d0002-7e61-4b1c-9a51-3d6f0c2b9e02"),
    Partition("root-b", 1536, _LINUX, "5a5d0003-7e61-4b1c-9a51-3d6f0c2b9e03"),
    Partition("station-data-new", 64, _LINUX, "5a5d0004-7e61-4b1c-9a51-3d6f0c2b9e04"),
)
DISK_UUID = "5a5d0000-7e61-4b1c-9a51-3d6f0c2b9e00"


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _of_inputs(*command: str) -> str:
    return git(*command, "--", *(HERE / "inputs").read_text().split())


@cache
def epoch() -> int:
    """Seconds: when the last commit was made that touched an input."""
    return int(_of_inputs("log", "-1", "--format=%ct"))


def version() -> str:
    """The agent's version and that commit, `-dirty` when the inputs have more than was committed."""
    import agent

    dirty = "-dirty" if _of_inputs("status", "--porcelain") else ""
    return f"{agent.__version__}+{_of_inputs('log', '-1', '--format=%h', '--abbrev=12')}{dirty}"


def environment() -> dict[str, str]:
    """For every tool: dated, in one language, in one order."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    dated = {"SOURCE_DATE_EPOCH": str(epoch()), "E2FSPROGS_FAKE_TIME": str(epoch())}
    return {**os.environ, **dated, "PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}


def run(*command: object) -> None:
    """Raises SystemExit with the command when it fails; its own words stand above."""
    done = subprocess.run([str(part) for part in command], env=environment(), check=False)
    if done.returncode:
        raise SystemExit(f"scripts/image: {command[0]} ended with {done.returncode}")
