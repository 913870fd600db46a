"""Who comes in by which door, found out once for each request: `scope["caller"]`.

The Unix socket is for users of this machine, told by the kernel. The screen at the rack comes by the loopback
address, and sees what everybody in front of the rack sees. Everybody else shows a session or a token.
"""

import ipaddress
from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.access.access import Access
from agent.access.roles import Caller, How, kiosk, local
from agent.web.api.problems import details
from agent.web.guard import local_user

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: A proxy on this machine says so of whom it brings: they do not stand at the rack.
_BROUGHT = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
_LONGEST = 4096  # bytes of a header that we look into
#: A page asks for these by itself: they keep no session alive.
_POLLED = frozenset({"/status", "/api/v1/status", "/api/v1/slots", "/api/v1/issues", "/api/v1/session"})


class Door:
    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            caller = await self._caller(scope)
            if caller is not None and caller.how is How.SESSION and not _meant(scope):
                await details("other-site", 403)(scope, receive, send)
                return
            scope["caller"] = caller
            scope["door"] = self
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | None:
        if local_user(scope) is None and (bearer(scope) or session_of(scope)):
            return await run_in_threadpool(self.shown, scope, polling=scope["path"] in _POLLED)
        return self.shown(scope, polling=True)

    def shown(self, scope: Scope, *, polling: bool) -> Caller | None:
        """By what the one who asks shows; that may take a look into the catalog."""
        uid = local_user(scope)
        if uid is not None:
            return local(uid)
        token = bearer(scope)
        if token:
            return self._access.token(token)
        secret = session_of(scope)
        found = self._access.session(secret, polling=polling) if secret else None
        if found is not None:
            return found
        return kiosk() if at_the_rack(scope) else None


def again(scope: Scope) -> Caller | None:
    """Who asks, found out anew while a long answer is under way: a session may be over by now, and this keeps
    none alive."""
    door: Door = scope["door"]
    return door.shown(scope, polling=True)


def at_the_rack(scope: Scope) -> bool:
    """Whether it comes from this machine itself, by the door that only this machine has."""
    if scope["scheme"] != "http" or any(name in _BROUGHT for name, _ in scope["headers"]):
        return False
    client = scope.get("client") or ("",)
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def cookie_name(scope: Scope) -> str:
    """Over TLS a name that browsers bind to this host and to TLS."""
    return "__Host-session" if scope["scheme"] == "https" else "session"


def session_of(scope: Scope) -> str:
    jar = SimpleCookie()
    try:
        jar.load(header(scope, b"cookie"))
    except CookieError:
        return ""
    found = jar.get(cookie_name(scope))
    return found.value if found else ""


def bearer(scope: Scope) -> str:
    kind, _, token = header(scope, b"authorization").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def header(scope: Scope, name: bytes) -> str:
    """ "" where it is not, is there twice, or too long to be meant."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 and len(found[0]) <= _LONGEST else ""


def _meant(scope: Scope) -> bool:
    """A browser sends a session with what another site's page asks for, too. What changes something must come
    from a page of ours: browsers say so, and no page can make them say otherwise."""
    return scope["method"] in _SAFE or header(scope, b"origin") == own_origin(scope)


def own_origin(scope: Scope) -> str:
    return f"{scope['scheme']}://{header(scope, b'host')}"
