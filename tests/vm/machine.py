"""The hardware of a station: QEMU with the image's disk, two USB controllers with fast ports, no network.

Everything is emulated, none of it needs privileges. The machine ends with the tests' process, and by
`kill()`, a power cut: what the guest had not written to its disk is lost.
"""

import contextlib
import itertools
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vm import credentials
from tests.vm.guest import PATIENCE, Guest
from tests.vm.qmp import Qmp, QmpError

FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
PORTS_OF_A_CONTROLLER = 15  # the most that QEMU's xHCI has; each takes USB 2 and USB 3
_FIRST_PCI_SLOT = 0x10
_STEP = 0.05
_LAST_LINES = 60


@dataclass(frozen=True, order=True)
class Port:
    controller: int  # 0 or 1
    number: int  # 1 to 15

    @property
    def id_path(self) -> str:
        """As udev and the slot map name it."""
        return f"pci-0000:00:{_FIRST_PCI_SLOT + self.controller:02x}.0-usb-0:{self.number}"


#: The rack of the tests: slots 01 to 16, half of them at each controller.
SLOTS: dict[str, Port] = {f"{n + 1:02}": Port(n // 8, n % 8 + 1) for n in range(16)}


@dataclass
class Hardware:
    memory: int = 1024  # MiB
    cpus: int = 2
    clock: str = "utc"  # QEMU's -rtc base=, e.g. `1980-01-01T00:00:00` for a dead battery
    network: bool = False  # a card with QEMU's user network, which leads nowhere (restrict=on)
    disks: Sequence[Path] = ()  # further raw disks, virtio
    read_only: Sequence[Path] = ()  # those of `disks` that cannot be written
    credentials: Mapping[str, str] = field(default_factory=dict)  # more of systemd's, by name
    disk_options: Mapping[str, Any] = field(default_factory=dict)  # instead of those of the first disk's node
    kernel: Sequence[str] = ()  # -kernel, -initrd, -append …: without firmware, for a guest of one's own
    more: Sequence[str] = ()  # further arguments


class Machine:
    """`with Machine(…) as machine:` is switched on at once; off and on again by `kill()` or `power_off()` and
    `start()`. `machine.guest` is the system in it."""

    def __init__(
        self, folder: Path, disk: Path, hardware: Hardware | None = None, centre: Path | None = None
    ) -> None:
        """`folder`: for sockets and logs, with a short name: a socket's path has 107 bytes at most.
        `centre`: the folder that is central storage; the guest finds it at /mnt/centre."""
        self.folder, self.disk = folder, disk
        self.centre = centre or folder / "no-share"
        self._share = centre is not None
        self.hardware = hardware or Hardware()
        self.serial_log, self.journal = folder / "serial.log", folder / "journal.log"
        self.guest: Guest
        self.started = 0.0  # time.monotonic() of the last power-on
        self.ready_after = 0.0  # seconds from the last power-on to the first look that found the agent ready
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp
        self._numbers = itertools.count()
        self._plugged: dict[Port, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._share:
            self.centre.mkdir(exist_ok=True)
            self.centre.chmod(0o777)  # the agent's user in the guest has no name here
        shutil.copyfile(VARIABLES, folder / "efi-variables.fd")

    def __enter__(self) -> "Machine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    # power

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Power on. Returns as soon as QEMU listens; `guest.up()` and `guest.until_ready()` wait for more."""
        assert not self.alive
        for name in ("qmp", "shell"):
            (self.folder / name).unlink(missing_ok=True)
        self.started = time.monotonic()
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._qmp = self._connected()
        self.guest = Guest(self.folder / "shell")
        self._plugged.clear()

    def until_ready(self, within: float = PATIENCE) -> None:
        """The shell answers and the agent collects; to be called right after power-on."""
        self.guest.up(within).until_ready(within)
        self.ready_after = time.monotonic() - self.started

    def kill(self) -> None:
        """A power cut: nothing in the guest hears of it. By the process id that was started here."""
        assert self._process is not None
        self._process.kill()
        self._ended(PATIENCE)

    def power_off(self, within: float = PATIENCE) -> None:
        """By the power button, as an administrator does."""
        self._qmp.command("system_powerdown")
        self._ended(within)

    def until_off(self, within: float = PATIENCE) -> None:
        """The guest switches itself off."""
        self._ended(within)

    def until_reset(self, within: float = PATIENCE) -> dict[str, Any]:
        """The guest, or its hardware watchdog, starts the machine anew. Returns the event's data."""
        return dict(self._qmp.event("RESET", within=within).get("data", {}))

    def qmp(self, name: str, **arguments: Any) -> Any:
        return self._qmp.command(name, **arguments)

    # ports

    def plug(
        self, image: Path, port: Port, serial: str = "", *, limits: Mapping[str, int] | None = None
    ) -> None:
        """A recorder that is a disk. `limits`, e.g. {"bps-read": 1 << 20}, slow it down (see QEMU's QMP).
        It can be written to: that its image stays the same is the station's doing."""
        name = f"r{next(self._numbers)}"
        node: dict[str, Any] = {
            "driver": "raw",
            "node-name": name,
            "file": {"driver": "file", "filename": str(image)},
        }
        if limits is not None:
            self.qmp("object-add", qom_type="throttle-group", id=f"{name}-limits", limits=dict(limits))
            node = {
                "driver": "throttle",
                "node-name": name,
                "throttle-group": f"{name}-limits",
                "file": {**node, "node-name": f"{name}-raw"},
            }
        self._qmp.raw("blockdev-add", node)
        self.plug_device("usb-storage", port, name, drive=name, **({"serial": serial} if serial else {}))

    def plug_device(self, driver: str, port: Port, name: str = "", **properties: Any) -> None:
        """Any USB device: `usb-kbd`, `usb-net`, `usb-mtp` with rootdir=, `usb-hub` …"""
        assert port not in self._plugged, f"{port} is taken"
        name = name or f"d{next(self._numbers)}"
        bus = {"bus": f"xhci{port.controller}.0", "port": str(port.number)}
        self._qmp.raw("device_add", {"driver": driver, "id": f"u-{name}", **bus, **properties})
        self._plugged[port] = name

    def pull(self, port: Port) -> None:
        """Returns when it is out; its image may be looked at then, and plugged again."""
        name = self._plugged.pop(port)
        self._qmp.command("device_del", id=f"u-{name}")
        self._qmp.event("DEVICE_DELETED", lambda data: data.get("device") == f"u-{name}")
        for node in (name, f"{name}-raw"):
            with contextlib.suppress(QmpError):  # no disk, or no throttle above it
                self._qmp.command("blockdev-del", node_name=node)
        with contextlib.suppress(QmpError):
            self._qmp.command("object-del", id=f"{name}-limits")

    def pull_all(self) -> None:
        for port in list(self._plugged):
            self.pull(port)

    def bytes_read(self, port: Port) -> int:
        """By the guest from the recorder in there, since it was plugged in."""
        device = f"u-{self._plugged[port]}"
        stats = self.qmp("query-blockstats")
        return int(next(s["stats"]["rd_bytes"] for s in stats if device in s.get("qdev", "").split("/")))

    # what it said

    def last_words(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{_tail(path)}"
            for path in (self.folder / "qemu.log", self.serial_log, self.journal)
            if path.exists()
        )

    def _ended(self, within: float) -> None:
        assert self._process is not None
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the machine does not go off\n{self.last_words()}") from None
        self.guest.close()
        self._qmp.close()

    def _connected(self) -> Qmp:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return Qmp(self.folder / "qmp", PATIENCE)
            except (OSError, QmpError):
                assert self.alive and time.monotonic() < end, f"QEMU ended\n{self.last_words()}"
                time.sleep(_STEP)

    def _command(self) -> list[str]:
        hw = self.hardware
        told = [
            "qemu-system-x86_64",
            "-nodefaults",
            "-display",
            "none",
            "-no-user-config",
            "-msg",
            "timestamp=on",
        ]
        told += ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
        told += ["-m", str(hw.memory), "-smp", str(hw.cpus), "-rtc", f"base={hw.clock}"]
        told += ["-qmp", f"unix:{self.folder}/qmp,server=on,wait=off"]
        told += ["-chardev", f"file,id=serial,path={self.serial_log},append=on", "-serial", "chardev:serial"]
        # Two watchdogs, as boards may have: the chip set's own, which a strap keeps from acting, and another.
        told += ["-global", "ICH9-LPC.noreboot=off", "-device", "i6300esb", "-action", "watchdog=reset"]
        told += ["-device", "virtio-rng-pci"]
        told += hw.kernel or [
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={self.folder}/efi-variables.fd"),
        ]
        told += self._disks()
        for number in range(2):
            told += ["-device", f"qemu-xhci,id=xhci{number},addr={_FIRST_PCI_SLOT + number:#x}"]
            told[-1] += f",p2={PORTS_OF_A_CONTROLLER},p3={PORTS_OF_A_CONTROLLER}"
        told += self._lines()
        if hw.network:
            told += ["-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile="]
        return [*told, *hw.more]

    def _disks(self) -> list[str]:
        """What the guest flushes need not reach this machine's disk: only QEMU is killed, never its host."""
        told = []
        for number, path in enumerate((self.disk, *self.hardware.disks)):
            node = {"driver": "raw", "node-name": f"disk{number}", "cache.no-flush": "on"}
            node |= {"file.driver": "file", "file.filename": str(path)}
            if number == 0 and self.hardware.disk_options:
                node = {"node-name": "disk0", **self.hardware.disk_options}
            node |= {"read-only": "on"} if path in self.hardware.read_only else {}
            told += ["-blockdev", ",".join(f"{key}={value}" for key, value in node.items())]
            told += [
                "-device",
                f"virtio-blk-pci,drive=disk{number},bootindex={number + 1},serial=disk{number}",
            ]
        return told

    def _lines(self) -> list[str]:
        """The shell, the journal, the share."""
        told = ["-device", "virtio-serial-pci"]
        told += ["-chardev", f"socket,id=shell,path={self.folder}/shell,server=on,wait=off"]
        told += ["-device", "virtserialport,chardev=shell,name=recorder-test"]
        told += ["-chardev", f"file,id=journal,path={self.journal},append=on"]
        told += ["-device", f"virtserialport,chardev=journal,name={credentials.JOURNAL_PORT}"]
        handed = {**credentials.shell(), **self.hardware.credentials}
        if self._share:
            # Owners and modes that the guest sees are kept beside the files: nobody here need be root.
            told += ["-fsdev", f"local,id=centre,path={self.centre},security_model=mapped-xattr"]
            told += ["-device", f"virtio-9p-pci,fsdev=centre,mount_tag={credentials.CENTRE_TAG}"]
            handed |= credentials.centre()
        return told + credentials.arguments(self.folder, handed)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-_LAST_LINES:])
