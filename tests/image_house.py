"""A station image's boot in a folder: no root, no mounts, the real `openssl`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.errors import Stop
from agent.image.boot import Boot
from agent.image.paths import Paths
from agent.image.system import System
from tests.here import require

MAC = "00:1a:2b:3c:4d:5e"
SERIAL = "10000000ABCDEF12"
MACHINE_ID = "0123456789abcdef0123456789abcdef"


class HereSystem(System):
    """What needs root is written down in place of being done."""

    def __init__(self) -> None:
        self.host_name = ""
        self.boot_writable: list[bool] = []
        self.ran: list[list[str]] = []
        self.kinds = {"boot": "vfat", "data": "ext4"}
        self.refuses_to_remount = False

    def give(self, target: int, group: bool) -> None:
        pass

    def set_host_name(self, name: str) -> None:
        self.host_name = name

    def remount_boot(self, boot: Path, writable: bool) -> None:
        if self.refuses_to_remount:
            raise Stop("boot-program-failed", program="mount", reason="write-protected")
        self.boot_writable.append(writable)

    def file_system(self, mount_point: Path) -> str:
        return self.kinds[mount_point.name]

    def run(self, command: Sequence[str], given: bytes = b"") -> bytes:
        if command[0] == "openssl":
            return super().run(command, given)
        self.ran.append(list(command))
        return b""


class House:
    def __init__(self, root: Path) -> None:
        require("openssl")
        self.paths = Paths(root)
        self.system = HereSystem()
        self.list_at_intranet: bytes | Stop = Stop("fleet-unreachable", url="http://x/", reason="no network")
        for folder in ("boot", "data", "run", "etc"):
            (root / folder).mkdir(parents=True)
        self.paths.machine_id.write_text(MACHINE_ID + "\n")
        self.sys("class/net/lo/address", "00:00:00:00:00:00\n")
        self.sys("class/net/eth0/address", MAC + "\n")
        self.sys("firmware/devicetree/base/serial-number", SERIAL + "\0")

    def sys(self, name: str, content: str) -> None:
        file = self.paths.root / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def lay(self, name: str, content: str | bytes) -> Path:
        """A file on the boot partition."""
        file = self.paths.boot / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def boot(self, only_fleet: bool = False) -> list[str]:
        """The keys of the problems, as the agent reads them."""
        Boot(self.paths, self.system, self._get).run(only_fleet)
        return [problem["key"] for problem in self.problems()]

    def problems(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.paths.problems.read_text())
        return listed

    def _get(self, url: str, ca: Path | None) -> bytes:
        if isinstance(self.list_at_intranet, Stop):
            raise self.list_at_intranet
        return self.list_at_intranet
