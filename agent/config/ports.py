"""A USB port as people write it in the configuration, and as udev names it.

Strict, because root makes a udev rule of it: what does not look like a port goes nowhere.
"""

import re

_PORT = re.compile(
    r"(?P<controller>[A-Za-z0-9][A-Za-z0-9:._@+-]{0,99})-usb(?:v2)?-0:(?P<chain>[0-9]{1,3}(?:\.[0-9]{1,3}){0,5})"
    r"(?::[0-9]{1,3}\.[0-9]{1,3})?"
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


def input_port(written: str) -> str:
    """`pci-0000:00:14.0-usb-0:4`, from that or from the ID_PATH of what is plugged in there. Raises
    ValueError."""
    found = _PORT.fullmatch(written)
    if found is None or "-usbv" in found["controller"]:
        raise ValueError("should be a USB port such as `pci-0000:00:14.0-usb-0:4`")
    return f"{found['controller']}-usb-0:{found['chain']}"


def input_name(written: str) -> str:
    """Raises ValueError."""
    if _NAME.fullmatch(written) is None:
        raise ValueError("should be a short name such as `scanner`: letters, digits, `-` and `_`")
    return written
