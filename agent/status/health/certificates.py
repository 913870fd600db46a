"""Certificates that end soon: the station's own, and the authorities that targets are believed by."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agent import booted
from agent.config import Config
from agent.config.targets import FolderTarget
from agent.status.health.issue import Issue, Severity
from agent.status.validity import ends

_WARNING, _CRITICAL = 30, 7  # days
_DAY = 86400.0
_LARGEST = 1 << 20  # bytes; the authorities of a whole system are a fifth of that


class Kept(NamedTuple):
    file: Path
    #: Authorities: one that holds is enough. Else a chain, which holds as long as each of it does.
    authorities: bool = False


def configured(config: Config, own: Path = booted.CERTIFICATE) -> Iterator[Kept]:
    """Every file with certificates that this station goes by, each once."""
    files = dict.fromkeys([Kept(own)] if own.exists() else [])
    files |= dict.fromkeys([Kept(config.web.certificate)] if config.web.certificate else [])
    for target in config.targets.values():
        if not isinstance(target, FolderTarget):
            files |= dict.fromkeys([Kept(target.certificate)] if target.certificate else [])
            files |= dict.fromkeys([Kept(target.ca, authorities=True)] if target.ca else [])
    yield from files


def certificates_check(
    files: Callable[[], Iterable[Kept]], trusted: Callable[[], bool], wall: Callable[[], float] = time.time
) -> Callable[[], Iterator[Issue]]:
    """Silent about the time while nobody knows what time it is."""

    def check() -> Iterator[Issue]:
        for kept in files():
            name = str(kept.file)
            try:
                end = _end(kept)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                yield Issue(
                    "certificate-unreadable", Severity.WARNING, {"file": name, "reason": reason}, name
                )
                continue
            if trusted():
                yield from _near(name, end, wall())

    return check


def _end(kept: Kept) -> datetime:
    with kept.file.open("rb") as opened:
        found = ends(opened.read(_LARGEST))
    if not found:
        raise ValueError("no certificate")
    return max(found) if kept.authorities else min(found)


def _near(name: str, end: datetime, now: float) -> Iterator[Issue]:
    left = end.timestamp() - now
    params = {"file": name, "until": end.astimezone(UTC).strftime("%Y-%m-%d"), "days": int(left // _DAY)}
    if left <= 0:
        yield Issue("certificate-ended", Severity.CRITICAL, params, name)
    elif left <= _CRITICAL * _DAY:
        yield Issue("certificate-ends-now", Severity.CRITICAL, params, name)
    elif left <= _WARNING * _DAY:
        yield Issue("certificate-ends-soon", Severity.WARNING, params, name)
