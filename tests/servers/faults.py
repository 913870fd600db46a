"""What can go wrong between a station and its central storage, as data: the proxy makes it happen."""

import re
from dataclasses import dataclass
from typing import Literal

#: "in": the request's body, on its way to the server · "out": the response's body, on its way back.
Way = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Reset:
    """Both sides are reset as soon as `after` bytes of the body have passed."""

    after: int
    way: Way = "in"


@dataclass(frozen=True, slots=True)
class Stall:
    """From then on nothing passes, and both connections stay open."""

    after: int
    way: Way = "in"


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """The client is gone, and the server never hears of it."""

    after: int
    way: Way = "in"


@dataclass(frozen=True, slots=True)
class LoseResponse:
    """The server does all that it was asked for; the client gets a reset instead of the answer."""


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of the body's byte `at` arrives wrong."""

    at: int
    way: Way = "in"
    bit: int = 0


@dataclass(frozen=True, slots=True)
class Slow:
    """Both bodies pass at this speed."""

    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the server never hears of. `early`: before the body is read; what the client still
    sends is then thrown away, or answered with a reset if `reset`, by which it may lose the answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    early: bool = False
    reset: bool = False


Fault = Reset | Stall | HalfOpen | LoseResponse | Flip | Slow | Reply


@dataclass(frozen=True, slots=True)
class Rule:
    """`fault` happens to the `nth` request whose method and target match, and to the `times` - 1 after it."""

    fault: Fault
    method: str = ".*"  # the whole of it
    path: str = ""  # found anywhere in path and query
    nth: int = 1
    times: int = 1

    def matches(self, method: str, target: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.search(self.path, target))


#: Code → status, as S3 gives them; several statuses mean different things by their code.
S3_ERRORS = {
    "AccessDenied": 403,
    "BadDigest": 400,
    "EntityTooSmall": 400,
    "ExpiredToken": 400,
    "IncompleteBody": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidPart": 400,
    "InvalidRequest": 400,
    "NoSuchBucket": 404,
    "NoSuchUpload": 404,
    "PreconditionFailed": 412,
    "QuotaExceeded": 403,
    "RequestTimeout": 400,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
}


XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def s3_error(code: str, status: int | None = None, *, early: bool = False) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>made by a test</Message></Error>"
    return Reply(
        S3_ERRORS[code] if status is None else status,
        (XML + body).encode(),
        (("Content-Type", "application/xml"),),
        early=early,
    )


def retry_after(status: int, seconds: int) -> Reply:
    return Reply(status, headers=(("Retry-After", str(seconds)),))
