"""The agent as on a station: nobody in particular, without a capability, in a mount namespace of its own that
hears of the machine's mounts; and the root helper beside it, in the machine's namespace. Both live under what
their units allow of system calls and capabilities.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.demo_process import LEASH
from tests.agent_process import ROOT, Agent
from tests.confined import words
from tests.loops import TAG, run, when

AGENT, HELPER = "recorder-station.service", "recorder-station-helper.service"
NOBODY = 54321  # a user and a group that no machine has a name for

#: As a unit with `User=` and a mount namespace, which is a slave of the machine's.
_NAMESPACE = ["unshare", "--mount", "--propagation", "slave", "sh", "-euc"]
_BECOME = (
    f"exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all --bounding-set=-all"
    ' --no-new-privs "$@"'
)
_CONFINED = [sys.executable, "-m", "tests.confined"]  # UNIT COMMAND…
#: The helper is root with what its unit leaves it.
_RIGHTS = [
    "setpriv",
    "--bounding-set=-all,"
    + ",".join("+" + each.removeprefix("CAP_").lower() for each in words(HELPER, "CapabilityBoundingSet")),
    "--no-new-privs",
]


@dataclass
class Place:
    """A folder that both can see, whose mounts are shared as all of them are under systemd."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "helper.sock"

    @property
    def mounts(self) -> Path:
        return self.folder / "mounts"


@contextmanager
def place() -> Iterator[Place]:
    """Not below pytest's own folder, which is root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="recorder-station-"))
    run("mount", "--bind", folder, folder)
    try:
        run("mount", "--make-private", folder)
        run("mount", "--make-shared", folder)
        folder.chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
        (folder / "mounts").mkdir(mode=0o710)  # as tmpfiles.d does
        os.chown(folder / "mounts", 0, NOBODY)
        yield Place(folder)
    finally:
        run("umount", folder)
        shutil.rmtree(folder)


@contextmanager
def helper(at: Place, *options: str, patch: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Its log is `helper.log` in the place. `patch`: Python that is run before its main program."""
    main = f"{LEASH}{patch}\nfrom agent.privileged.server import main; main()"
    named = ["--socket", at.socket, "--mounts", at.mounts, "--tag", TAG, "--user", f"{NOBODY}:{NOBODY}"]
    with (at.folder / "helper.log").open("ab") as log:
        process = subprocess.Popen(
            [*_RIGHTS, *_CONFINED, HELPER, sys.executable, "-P", "-c", main, *map(str, named), *options],
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            stderr=log,
        )
    try:
        when(at.socket.exists)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def agent(at: Place) -> Iterator[Agent]:
    with Agent(at.folder, dock={"udev": True, "tag": TAG, "helper": str(at.socket)}) as made:
        del made.config["dock"]["simulated_rack"]
        made.config["dock"]["mounts"] = "/nonexistent"  # it must not matter
        made.write_config()
        for path in (made.centre, made.config_file):
            os.chown(path, NOBODY, NOBODY)
        made.wrapper = [*_NAMESPACE, _readable() + _BECOME, "sh", *_CONFINED, AGENT]
        yield made


def _readable() -> str:
    """Shell that lets everybody read this Python and this checkout, in the namespace alone: on a developer's
    machine they may lie in a home that is closed."""
    needed = [Path(sys.base_prefix).resolve(), ROOT]
    closed = {folder for path in needed for folder in (path, *path.parents) if not folder.stat().st_mode & 1}
    if not closed:
        return ""
    lines = ["stage=$(mktemp -d); mount -t tmpfs tmpfs $stage"]
    for number, path in enumerate(needed):
        lines.append(f"mkdir $stage/{number}; mount --rbind {shlex.quote(str(path))} $stage/{number}")
    top = [folder for folder in closed if not any(above in closed for above in folder.parents)]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}" for folder in top]
    for number, path in enumerate(needed):
        if any(path.is_relative_to(folder) for folder in top):
            target = shlex.quote(str(path))
            lines.append(f"mkdir -p {target}; mount --rbind $stage/{number} {target}")
    return "\n".join([*lines, "umount -R $stage; rmdir $stage", ""])
