"""What is handed to the image from outside, as a virtual machine's owner may: systemd's credentials in SMBIOS
strings. The image itself stays as it was built.

Needs systemd 256 or later in the guest (extra units and drop-ins), which reads them only when it finds itself
in a virtual machine.
"""

import base64
from collections.abc import Mapping
from pathlib import Path

from tests.vm import shell_in_guest

CENTRE = "/mnt/centre"  # in the guest: the folder that is central storage, outside of it
CENTRE_TAG = "centre"
JOURNAL_PORT = "recorder-journal"

# Nothing it needs comes from the system that is tested, so that it can be asked how far that came.
_SHELL = """\
[Unit]
Description=Root shell of the tests
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
[Service]
ExecStart=/usr/bin/python3 -I -c "import base64;exec(base64.b64decode('{program}'))"
Restart=always
RestartSec=1
OOMScoreAdjust=-1000
"""

# The story of a guest whose end is a power cut.
_JOURNAL = f"""\
[Unit]
Description=Journal for the tests
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
After=systemd-journald.service
[Service]
ExecStart=/bin/sh -c 'exec journalctl -b -f -n all -o short-monotonic >/dev/virtio-ports/{JOURNAL_PORT}'
Restart=always
RestartSec=1
"""
_WANTED = """\
[Unit]
Wants=recorder-test.service recorder-test-journal.service
"""

# The share is not the test: nothing waits for it, and a target that is not there yet is tried again.
_CENTRE = (
    f"{CENTRE_TAG} {CENTRE} 9p trans=virtio,version=9p2000.L,access=user,cache=none,msize=262144,nofail 0 0\n"
)


def shell() -> dict[str, str]:
    """A root shell at a serial port, and the journal at another one."""
    program = base64.b64encode(Path(shell_in_guest.__file__).read_bytes()).decode()
    return {
        "systemd.extra-unit.recorder-test.service": _SHELL.format(program=program),
        "systemd.extra-unit.recorder-test-journal.service": _JOURNAL,
        "systemd.unit-dropin.sysinit.target~recorder-test": _WANTED,
    }


def centre() -> dict[str, str]:
    return {"fstab.extra": _CENTRE}


def arguments(folder: Path, credentials: Mapping[str, str]) -> list[str]:
    """QEMU's arguments. Through files: an argument has 128 KiB at most, and commas end values."""
    told = []
    for number, (name, text) in enumerate(credentials.items()):
        path = folder / f"credential-{number}"
        value = base64.b64encode(text.encode()).decode()
        path.write_text(f"io.systemd.credential.binary:{name}={value}")
        told += ["-smbios", f"type=11,path={path}"]
    return told
