"""The units promise what the station's guide says: one user without a right, one helper without a mount
namespace, and everything of `systemd/` at its place.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import Config
from agent.dock import hotplug
from agent.privileged import server
from tests.confined import SYSTEMD, settings, system_calls, words
from tests.here import require

ROOT = Path(__file__).parents[2]
AGENT, HELPER = "recorder-station.service", "recorder-station-helper.service"
KIOSK = "recorder-kiosk.service"
MOST_EXPOSED = 1.5

#: Settings that make systemd give a unit a mount namespace of its own (exec_needs_mount_namespace).
NAMESPACED = re.compile(
    r"(Private(Mounts|Tmp|Devices|IPC|Users|Network)|Protect\w+|ProcSubset|MountFlags|MountAPIVFS|MountImages"
    r"|\w*Paths|Bind\w*Paths|TemporaryFileSystem|Root\w+|Extension\w+|LogNamespace|DynamicUser"
    r"|NetworkNamespacePath|IPCNamespacePath|(State|Cache|Logs|Runtime|Configuration)Directory)"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """From another folder, into a relative one, as an image's recipe may say it."""
    subprocess.run([ROOT / "scripts/install", "--root", "root"], cwd=tmp_path, check=True)
    return tmp_path / "root"


def place_of(path: Path) -> str:
    """Of a file of `systemd/`, on the machine."""
    folder = str(path.parent.relative_to(SYSTEMD))
    other = {".": "systemd/system", "udev": "udev/rules.d"}
    ours = f"systemd/{folder}" if folder in ("system.conf.d", "journald.conf.d") else folder
    return f"usr/lib/{other.get(folder, ours)}/{path.name}"


def test_every_file_of_systemd_lands_in_its_place(installed: Path) -> None:
    ours = {place_of(path): path for path in SYSTEMD.rglob("*") if path.is_file()}
    there = {str(path.relative_to(installed)): path for path in installed.rglob("*") if path.is_file()}
    assert there.keys() == ours.keys()
    for name, path in there.items():
        assert path.read_bytes() == ours[name].read_bytes()
        assert path.stat().st_mode & 0o777 == 0o644


def test_the_install_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    for wrong in (["--root"], ["--prefix", str(tmp_path)], [str(tmp_path)]):
        ran = subprocess.run([ROOT / "scripts/install", *wrong], capture_output=True, check=False)
        assert ran.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_systemd_finds_nothing_to_complain_of(installed: Path, tmp_path: Path) -> None:
    require("systemd-analyze")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = installed / "usr/lib/systemd/system"
    units = sorted(path for path in folder.iterdir() if path.name.startswith("recorder-"))
    for unit in units:  # the programs are not installed here
        unit.write_text(re.sub(r"/usr/bin/recorder-[\w-]*", str(program), unit.read_text()))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(unit.name for unit in units)],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_users_of_the_units_are_made_and_the_agents_folder_is_its_alone(installed: Path) -> None:
    require("systemd-analyze")
    (installed / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={installed}"], capture_output=True, check=True)
    users = (installed / "etc/passwd").read_text().splitlines()
    names = {line.split(":")[0] for line in users}
    assert names == {value for unit in (AGENT, KIOSK) for key, value in settings(unit) if key == "User"}
    assert server.USER in names and len(names) == 2
    assert all(line.endswith(":/usr/sbin/nologin") for line in users)
    (line,) = [
        line
        for line in (SYSTEMD / "tmpfiles.d/recorder-station.conf").read_text().splitlines()
        if line[0] != "#"
    ]
    assert line.split()[:5] == ["d", str(server.MOUNTS), "0710", "root", server.USER]


def exposure(unit: str) -> float:
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", SYSTEMD / unit],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert found, ran.stdout
    return float(found[1])


def test_the_agent_is_hardly_exposed() -> None:
    require("systemd-analyze")
    assert exposure(AGENT) <= MOST_EXPOSED


def test_the_agent_has_no_right_of_its_own() -> None:
    require("systemd-analyze")
    said = dict(settings(AGENT))
    assert said["User"] == "recorder-station"
    assert said["CapabilityBoundingSet"] == said["AmbientCapabilities"] == ""
    assert said["NoNewPrivileges"] == "yes"
    assert not system_calls(AGENT) & {"mount", "umount2", "setuid", "chroot", "init_module", "bpf", "reboot"}


def test_what_the_machine_mounts_later_reaches_the_agent() -> None:
    said = dict(settings(AGENT))
    assert not {"MountFlags", "PrivateUsers", "RootDirectory", "TemporaryFileSystem"} & said.keys()
    assert set(words(AGENT, "ReadWritePaths")) == {"-/mnt", "-/srv"}


def test_the_agent_starts_without_a_network_and_with_a_wrong_clock() -> None:
    for unit in (AGENT, HELPER, KIOSK, "recorder-station-helper.socket"):
        for key in ("After", "Wants", "Requires", "BindsTo"):
            assert not {"network-online.target", "network.target", "time-sync.target"} & set(words(unit, key))


def test_a_hung_agent_and_a_hung_machine_are_started_again() -> None:
    said = dict(settings(AGENT))
    assert (said["Type"], said["WatchdogSec"], said["Restart"]) == ("notify", "60", "on-failure")
    assert said["StartLimitIntervalSec"] == "0"
    machine = (SYSTEMD / "system.conf.d/60-recorder-station.conf").read_text()
    assert re.search(r"^RuntimeWatchdogSec=\d+s$", machine, re.MULTILINE)


def test_the_helper_mounts_in_the_machines_own_namespace() -> None:
    assert [key for key, _ in settings(HELPER) if NAMESPACED.fullmatch(key)] == []


def test_the_helper_is_confined_to_what_its_verbs_need() -> None:
    assert set(words(HELPER, "CapabilityBoundingSet")) == {
        "CAP_SYS_ADMIN",
        "CAP_DAC_READ_SEARCH",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
    }
    assert list(words(HELPER, "RestrictAddressFamilies")) == ["AF_UNIX"]
    said = dict(settings(HELPER))
    for key in ("NoNewPrivileges", "MemoryDenyWriteExecute", "RestrictNamespaces", "LockPersonality"):
        assert said[key] == "yes"
    require("systemd-analyze")
    calls = system_calls(HELPER)
    assert {"mount", "umount2", "openat2", "ioctl", "unlinkat", "syncfs"} <= calls
    refused = {
        "pivot_root",
        "move_mount",
        "fsopen",
        "setns",
        "unshare",
        "init_module",
        "reboot",
        "chroot",
        "bpf",
    }
    assert not calls & (refused - {"setns", "unshare"})


def test_socket_paths_are_those_of_the_code() -> None:
    socket = dict(settings("recorder-station-helper.socket"))
    assert socket["ListenStream"] == str(server.SOCKET) == str(Config().dock.helper)
    assert (socket["SocketMode"], socket["SocketUser"], socket["SocketGroup"]) == (
        "0660",
        "root",
        server.USER,
    )


def test_the_kernel_grants_the_buffer_that_the_agent_asks_for() -> None:
    limits = (SYSTEMD / "sysctl.d/60-recorder-station.conf").read_text()
    (size,) = re.findall(r"^net\.core\.rmem_max = (\d+)$", limits, re.MULTILINE)
    assert int(size) >= hotplug._BUFFER


@pytest.mark.parametrize("unit", [AGENT, HELPER])
def test_a_unit_refuses_what_its_file_refuses(unit: str) -> None:
    """The tests' own filter bites: else what is shown under it would say nothing."""
    require("systemd-analyze", "seccomp")
    tried = (
        "import ctypes, mmap, os, socket\n"
        "def refused(what):\n"
        "    try: what()\n"
        "    except OSError as e: return e.errno == 1\n"
        "    return False\n"
        "def remapped(): mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "print(refused(lambda: os.chroot('/')), refused(lambda: socket.socket(socket.AF_PACKET)),\n"
        "      refused(remapped), refused(lambda: os.getpid()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "tests.confined", unit, sys.executable, "-c", tried],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == ["True", "True", "True", "False"], ran.stderr
