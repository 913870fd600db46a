"""Answers as JSON, with a mark by which who asks again gets nothing twice (RFC 9110, 13.1.2)."""

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

MASKED = "•••"


def answer(
    request: Request, content: Mapping[str, Any], status: int = 200, passing: Collection[str] = ()
) -> Response:
    """`passing`: members that are another at each look and mean nothing new; the mark leaves them out."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if request.method not in ("GET", "HEAD"):
        return Response(text, status, media_type="application/json")
    lasting = {name: value for name, value in content.items() if name not in passing}
    digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()[:32]
    headers = {"ETag": f'W/"{digest}"'}  # the same in what it says, not to the byte
    known = request.headers.get("if-none-match", "")
    if f'"{digest}"' in (one.strip().removeprefix("W/") for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(text, status, headers, media_type="application/json")


def moment(seconds: float | None) -> str | None:
    """RFC 3339, in the station's zone. None where nobody knows, or no calendar has it."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def local(text: str | None) -> str | None:
    """The same for a recorder's own time, which has no zone: it is the station's. It may be years off."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
