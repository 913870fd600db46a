"""An event of the catalog as an entry of the log: canonical JSON (RFC 8785), so that everybody who has the
facts has the same bytes."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785

from agent.catalog.events import Event as Event

LARGEST = 65_535  # bytes of an entry: its length is told by 16 bits
_EXACT = 2**53  # from here on, integers are not kept by every reader of JSON
_DEEPEST = 64  # of a body; far from where a parser gives up, wherever it is called from
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _NoForm(ValueError):
    """The body has no canonical form."""


def entry(event: Event) -> bytes:
    """The entry of `event`, at most LARGEST bytes. Times are told to the microsecond, integers from 2^53 on
    as text. In place of a body that is too long, or that RFC 8785 cannot tell (a key twice, half a
    character, a number beyond all, nested without end) stand its length and digest.

    Raises ValueError for a row that is still too long: only its `kind` or `boot_id` can be."""
    facts: dict[str, Any] = {
        "at": moment(event.at),
        "boot": event.boot_id,
        "clip": _exact(event.clip),
        "clock": bool(event.clock_trusted),
        "kind": event.kind,
        "seq": _exact(event.seq),
    }
    try:
        made = rfc8785.dumps({**facts, "body": _body(event.body)})
    except (ValueError, RecursionError):  # rfc8785's own errors are ValueErrors, too
        made = b""
    if not made or len(made) > LARGEST:
        made = rfc8785.dumps({**facts, "body": _stand_in(event.body)})
    if len(made) > LARGEST:
        raise ValueError(f"event {event.seq} is too long for an entry")
    return bytes(made)


def event(data: bytes) -> Event:
    """The row that `data` is the entry of, as far as it tells: `entry(event(data)) == data`.

    Raises ValueError when it is no entry."""
    try:
        facts = json.loads(data, parse_int=_number)
        told = Event(
            seq=int(facts["seq"]),
            clip=None if facts["clip"] is None else int(facts["clip"]),
            kind=facts["kind"],
            body=json.dumps(facts["body"], ensure_ascii=False, separators=(",", ":")),
            at=_seconds(facts["at"]),
            boot_id=facts["boot"],
            clock_trusted=int(facts["clock"]),
        )
        if not isinstance(told.kind, str) or not isinstance(told.boot_id, str) or entry(told) != data:
            raise ValueError("not in its canonical form")
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no entry: {error!r}") from error
    return told


def moment(at: float) -> str:
    """RFC 3339 in UTC; a time outside the years that it knows as `@` and the seconds."""
    try:  # by parts: a float tells no microseconds of the whole in some centuries
        seconds = math.floor(at)
        when = _EPOCH + timedelta(seconds=seconds, microseconds=round((at - seconds) * 1e6))
    except OverflowError:
        return f"@{at!r}"
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when.year > 999 else f"@{at!r}"


def _seconds(text: str) -> float:
    if text.startswith("@"):
        return float(text[1:])
    since = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) - _EPOCH
    return since.days * 86_400 + since.seconds + since.microseconds / 1e6


def _body(text: str) -> Any:
    body = json.loads(text, object_pairs_hook=_pairs)
    if text.count("{") + text.count("[") > _DEEPEST and _depth(body) > _DEEPEST:
        raise _NoForm
    return _told(body)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values under one key counts is each reader's own opinion."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NoForm
    return found


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _told(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_told(inner) for inner in value]
    return _exact(value)


def _exact(value: Any) -> Any:
    return str(value) if isinstance(value, int) and abs(value) >= _EXACT else value


def _number(text: str) -> int | float:
    """What stands in an entry as a large integer was a float: integers of that size are text there."""
    return int(text) if abs(int(text)) < _EXACT else float(text)


def _depth(body: Any) -> int:
    deepest, below = 0, [(body, 1)]
    while below:
        value, depth = below.pop()
        deepest = max(deepest, depth)
        below += ((inner, depth + 1) for inner in _inner(value))
    return deepest


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _stand_in(text: str) -> dict[str, Any]:
    data = text.encode("utf-8", "surrogatepass")
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
