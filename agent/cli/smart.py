"""What the disks below the store say of themselves: by the `smartctl` program, which must be root's."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.cli.examined import Finding, Level
from agent.config import Config
from agent.privileged.ports import SYSFS

_TIMEOUT = 60.0  # seconds; a disk that sleeps spins up first
_WEARING, _WORN = 80, 100  # percent of the writes it was made for
_BAD_SECTORS = frozenset({5, 197, 198})  # attributes: reallocated, pending, uncorrectable
_ENDURANCE = "Percentage Used Endurance Indicator"


def smart(config: Config) -> Iterator[Finding]:
    there = next((each for each in (config.store.path, *config.store.path.parents) if each.exists()), None)
    disks = disks_below(there) if there else []
    if not disks:
        return  # in memory, or on a network: no disk of this machine
    if os.geteuid() != 0:
        yield Finding("disk", Level.INFO, "smart-needs-root", {"disks": disks})
    elif (program := shutil.which("smartctl")) is None:
        yield Finding("disk", Level.INFO, "smart-no-program", {"disks": disks})
    else:
        for disk in disks:
            yield from judged(disk, _asked(program, disk))


def disks_below(path: Path, sysfs: Path = SYSFS) -> list[str]:
    """Kernel names of the disks that carry `path`: below partitions, LVM, encryption and RAID. Those
    alone that can be asked: SATA (or SAS) and NVMe."""
    device = path.stat().st_dev
    node = sysfs / f"dev/block/{os.major(device)}:{os.minor(device)}"
    found = sorted(set(_disks(node.resolve()))) if node.exists() else []
    return [disk for disk in found if disk.startswith(("sd", "nvme"))]


def _disks(block: Path) -> Iterator[str]:
    if (block / "partition").exists():
        block = block.parent
    slaves = block / "slaves"
    below = [each.resolve() for each in slaves.iterdir()] if slaves.is_dir() else []
    for each in below:
        yield from _disks(each)
    if not below:
        yield block.name


def _asked(program: str, disk: str) -> Mapping[str, Any]:
    """Its exit code is a set of bits, of which most do not mean that nothing was said."""
    command = [program, "--json=c", "-x", f"/dev/{disk}"]
    try:
        said = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False).stdout
        found = json.loads(said)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def judged(disk: str, said: Mapping[str, Any]) -> Iterator[Finding]:
    """By the JSON of smartctl 7."""
    passed = said.get("smart_status", {}).get("passed")
    if passed is None:
        yield Finding("disk", Level.INFO, "smart-silent", {"disk": disk})
        return
    nvme = said.get("nvme_smart_health_information_log", {})
    worn, sectors = _used(said, nvme), _sectors(said)
    if not passed or nvme.get("critical_warning", 0):
        yield Finding("disk", Level.FAIL, "smart-failing", {"disk": disk})
    if worn is not None and worn >= _WEARING:
        level, key = (Level.FAIL, "disk-worn") if worn >= _WORN else (Level.WARN, "disk-wearing")
        yield Finding("disk", level, key, {"disk": disk, "percent": worn})
    if sectors or nvme.get("media_errors", 0):
        count = sectors or nvme["media_errors"]
        yield Finding("disk", Level.WARN, "smart-errors", {"disk": disk, "count": count})
    if passed and not nvme.get("critical_warning", 0) and (worn is None or worn < _WEARING):
        params = {"disk": disk, "percent": "?" if worn is None else worn}
        yield Finding("disk", Level.OK, "smart-ok", params)


def _used(said: Mapping[str, Any], nvme: Mapping[str, Any]) -> int | None:
    """Percent; None where it is not told."""
    if "percentage_used" in nvme:
        return int(nvme["percentage_used"])
    pages = said.get("ata_device_statistics", {}).get("pages", [])
    rows = [row for page in pages for row in page.get("table", [])]
    return next((int(row["value"]) for row in rows if row.get("name") == _ENDURANCE), None)


def _sectors(said: Mapping[str, Any]) -> int:
    table = said.get("ata_smart_attributes", {}).get("table", [])
    return sum(int(row["raw"]["value"]) for row in table if row.get("id") in _BAD_SECTORS)
