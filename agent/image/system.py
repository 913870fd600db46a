"""What the boot step asks of the operating system, in one place so that tests can stand in for it."""

import grp
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from agent.booted import VOLATILE
from agent.errors import Stop

GROUP = "recorder-station"
_PATIENCE = 30.0  # seconds for one program


class System:
    """Raises OSError, or Stop `boot-program-failed`."""

    def give(self, target: int, group: bool) -> None:
        """Let root own the open file or folder `target`; with `group` the agent's group comes to it."""
        os.fchown(target, 0, grp.getgrnam(GROUP).gr_gid if group else 0)

    def set_host_name(self, name: str) -> None:
        if socket.gethostname() != name:
            socket.sethostname(name)

    def remount_boot(self, boot: Path, writable: bool) -> None:
        self.run(["mount", "-o", f"remount,{'rw' if writable else 'ro'}", str(boot)])

    def file_system(self, mount_point: Path) -> str:
        """The kind of file system that is mounted there; "" when none is."""
        return mounted_at(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"), mount_point)

    def run(self, command: Sequence[str], given: bytes = b"") -> bytes:
        """What the program prints. Its own words come with the error, and never what it was given."""
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, timeout=_PATIENCE, check=False, env=_ENVIRONMENT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = getattr(error, "strerror", None) or "no answer in time"
            raise Stop("boot-program-failed", program=command[0], reason=reason) from error
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [str(done.returncode)]
            raise Stop("boot-program-failed", program=command[0], reason=reason[0])
        return done.stdout


#: Words of programs in one language, whatever the machine speaks.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def mounted_at(mountinfo: str, mount_point: Path) -> str:
    """The last mount there is the one that shows."""
    found = ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[4].replace("\\040", " ") == str(mount_point):
            found = after.split()[0]
    return found


def is_disk(file_system: str) -> bool:
    return file_system not in VOLATILE | {""}
