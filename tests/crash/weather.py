"""Random faults between a station and its centre."""

from collections.abc import Callable, Sequence
from random import Random

from tests.servers import faults
from tests.servers.faults import Fault, Flip, HalfOpen, LoseResponse, Reply, Reset, Rule, Slow, Stall, Way

_KIB = 1 << 10
#: How far into a body something happens: most requests have little of one, and a part has 8 MiB.
_REACH = (1, 100, 100, 1000, 100 * _KIB, 8 << 20)
_WAYS: tuple[Way, ...] = ("in", "out")
_STATUSES = (404, 408, 409, 410, 423, 429, 500, 503, 507)
_CODES = ("SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable")
_ERROR_WITH_200 = faults.s3_error("InternalError", 200)
#: What a proxy shows to browsers.
_PAGE = b"<!DOCTYPE html><title>One moment</title><p>made by a test</p>"
_HTML = (("Content-Type", "text/html"),)
#: Bytes per second. 64 kbit/s would make a part last for a quarter of an hour.
_SPEEDS = (1e6, 4e6)
_SLOWEST = 8000.0
_SMALL = (r"\.json$", r"recorder-station-target$")

#: An answer that the server never gave, of a kind that comes from such a server or from who is before it.
Replies = Callable[[Random], Reply]


def rule(rng: Random, requests: Sequence[tuple[str, str]], replies: Replies) -> Rule:
    """A fault that happens once, to a request of any kind or to one of a kind: the rare ones count, too."""
    method, path = rng.choice((*requests, *[(".*", "")] * len(requests)))
    return Rule(_fault(rng, path, replies), method, path, nth=rng.randint(1, 3 if path else 30))


def _fault(rng: Random, path: str, replies: Replies) -> Fault:
    at, way = rng.randrange(rng.choice(_REACH)), rng.choice(_WAYS)
    match rng.randrange(8):
        case 0:
            return Reset(at, way)
        case 1:
            return Stall(at, way)
        case 2:
            return HalfOpen(at, way)
        case 3:
            return LoseResponse()
        case 4 | 5:
            return Flip(at, way, rng.randrange(8))
        case 6:
            return Slow(_SLOWEST if path in _SMALL else rng.uniform(*_SPEEDS))
        case _:
            return replies(rng)


def s3_reply(rng: Random) -> Reply:
    return rng.choice((*_any_server(rng), faults.s3_error(rng.choice(_CODES)), _ERROR_WITH_200))


def tus_reply(rng: Random) -> Reply:
    """tus has statuses alone. The two that come with a yes say what a yes of it never leaves out."""
    page = Reply(rng.choice((200, 502, 504)), _PAGE, _HTML)
    behind = Reply(409, b"offsets differ", (("Upload-Offset", "1"),))
    return rng.choice((*_any_server(rng), page, Reply(204), behind))


def _any_server(rng: Random) -> tuple[Reply, ...]:
    status = rng.choice(_STATUSES)
    return (
        Reply(status),
        Reply(status, early=True, reset=rng.random() < 0.5),
        faults.retry_after(rng.choice((429, 503)), 1),
    )
