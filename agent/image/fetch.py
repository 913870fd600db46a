"""`fleet.url`: the list of stations at an intranet address."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from agent.errors import Stop

LARGEST = 4 << 20  # bytes
_CONNECT, _READ = 3.0, 5.0  # seconds
_ALL = 15.0  # seconds for the whole of it: the boot waits

Fetch = Callable[[str, Path | None], bytes]


def address(text: str) -> str:
    """The URL in `fleet.url`: a line of its own, or the shortcut that Windows makes of a dragged link."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line.removeprefix("URL=") for line in lines if re.match(r"(URL=)?https?://", line)]
    if len(found) != 1 or not urlsplit(found[0]).hostname:
        raise Stop("fleet-bad-url", file="fleet.url")
    return found[0]


def shown(url: str) -> str:
    """Without what may be a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def fetched(url: str, ca: Path | None) -> bytes:
    """Raises Stop `fleet-unreachable`. No proxy, no redirect: what is asked for is in this house."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return _fetched(session, url, ca)
    except (requests.RequestException, OSError, ValueError) as error:
        raise Stop("fleet-unreachable", url=shown(url), reason=reason_of(error)) from error


def _fetched(session: requests.Session, url: str, ca: Path | None) -> bytes:
    until = time.monotonic() + _ALL
    verify = str(ca) if ca else True
    found = bytearray()
    with session.get(
        url, timeout=(_CONNECT, _READ), stream=True, verify=verify, allow_redirects=False
    ) as answer:
        if answer.status_code != 200:
            raise Stop("fleet-unreachable", url=shown(url), reason=f"HTTP {answer.status_code}")
        for block in answer.iter_content(64 << 10):
            found += block
            if len(found) > LARGEST:
                raise Stop("boot-file-too-large", file=shown(url), largest=LARGEST)
            if time.monotonic() > until:
                raise Stop("fleet-unreachable", url=shown(url), reason="too slow")
    return bytes(found)


def reason_of(error: Exception) -> str:
    """The innermost cause: the outer ones repeat the address, and perhaps a password in it."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or str(error).partition("(")[0] or type(error).__name__
