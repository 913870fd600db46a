"""Headers that keep a browser from being talked into anything, and the check that it meant us."""

import ipaddress
import socket

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: A route that serves what a stranger made says so itself, in a policy that allows less.
_NARROWER = frozenset({"Content-Security-Policy"})
#: The first part of `scope["client"]` for a peer on the Unix socket; the second is its uid.
UID = "uid"


class Guard:
    """Refuses a request whose Host is a name that is not ours. An attacker's page that points its own
    name at our address (DNS rebinding) then reads nothing; an address cannot be rebound."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    if name not in _NARROWER or name not in headers:
                        headers[name] = value
            await send(message)

        if self._meant_us(scope):
            await self._app(scope, receive, send_with_headers)
        else:
            refusal = PlainTextResponse("unknown host name", status_code=421)
            await refusal(scope, receive, send_with_headers)

    def _meant_us(self, scope: Scope) -> bool:
        if local_user(scope) is not None:
            return True
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and self._is_ours(_without_port(hosts[0]))

    def _is_ours(self, host: str) -> bool:
        if host.lower().rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def local_user(scope: Scope) -> int | None:
    """The uid of the user at the other end of the Unix socket, told by the kernel; None over TCP."""
    client = scope.get("client")
    return int(client[1]) if client and client[0] == UID else None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].split("]", 1)[0]
    return host.rsplit(":", 1)[0] if host.count(":") == 1 else host
