"""Where other machines find the pages of this one, as far as the station itself can tell."""

import ipaddress
import socket
from contextlib import suppress

_EVERY = ("0.0.0.0", "::", "")
#: Addresses of nobody (RFC 5737, RFC 3849), that lie behind the usual way out.
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def reachable(host: str, port: int | None) -> str:
    """`host:port` for others, of a door at `host` and `port`; "" when there is none, or only this machine may
    come in. A door on every address is told as the one that this machine sends from."""
    if port is None:
        return ""
    found = _sends_from() if host in _EVERY else host
    with suppress(ValueError):
        if ipaddress.ip_address(found).is_loopback:
            return ""
    if not found or found.lower() == "localhost":
        return ""
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def _sends_from() -> str:
    """ "" without a network. Nothing is sent: the kernel only looks up the way."""
    for family, far in _FAR:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    return ""
