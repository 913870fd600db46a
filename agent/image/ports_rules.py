"""The udev rules that name the ports of input devices, from the configuration's `dock.input_ports`.

They are read before the guard (59-recorder-station-guard.rules) and lost at the next boot, like all of /run.
After they are written udev must read them, and look again at what it refused meanwhile: `RELOAD`.
"""

from collections.abc import Mapping
from pathlib import Path

from agent.config.ports import input_name, input_port

PLACE = Path("/run/udev/rules.d/58-recorder-station-ports.rules")
RELOAD = (
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--action=add", "--subsystem-match=usb"),
)

_HEAD = "# Ports at which the USB guard accepts input devices. Made at boot from dock.input_ports.\n"
# Two sockets may have the same number on the USB 2 and on the USB 3 bus of a controller. Names are those of
# the USB 2 side, and that is where input devices come up.
_RULE = (
    'ACTION!="remove", SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ENV{{ID_PATH}}=="{port}",'
    ' ATTR{{speed}}=="1.5|12|480", ENV{{RECORDER_STATION_PORT}}="{name}"\n'
)


def text(ports: Mapping[str, str]) -> str:
    """The whole file. Raises ValueError for what is no name or no port: nothing else may get into a rule."""
    return _HEAD + "".join(
        _RULE.format(name=input_name(name), port=input_port(port)) for name, port in sorted(ports.items())
    )
