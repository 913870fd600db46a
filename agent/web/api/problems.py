"""What went wrong, as RFC 9457 wants it: problem details, with our stable key and its parameters beside."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from agent.errors import CatalogError, Reject, StationError, Stop, Stopping
from agent.status.plain import plain
from agent.words import FIRST, sentence

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "5"  # seconds: the agent stops, or its disk is full
_NOT_FOUND = frozenset({"not-found", "clip-not-here", "clip-not-stored", "no-log-yet", "unknown-slot"})
_FORBIDDEN = frozenset({"forbidden", "local-only", "other-site"})
_KEYS = {401: "login-needed", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}


class ProblemDetails(TypedDict):
    type: str
    title: str
    status: int
    key: str
    params: dict[str, Any]


#: What every route may answer, for its description.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails, "description": said, "content": {MEDIA_TYPE: {}}}
    for status, said in {
        400: "What was asked cannot be meant.",
        401: "Nobody is logged in, or the token is none of this station's.",
        403: "Not for this role.",
        404: "There is no such thing, or it is not for this role.",
        409: "As things are it cannot be done.",
        413: "More than any order has to say.",
        429: "Too often.",
        503: "Not now.",
    }.items()
}


def details(key: str, status: int, params: Mapping[str, Any] | None = None) -> Response:
    told: ProblemDetails = {
        "type": f"urn:recorder-station:{key}",
        "title": sentence(key, params or {}, FIRST),
        "status": status,
        "key": key,
        "params": plain(params or {}),
    }
    headers = {"Retry-After": _RETRY_AFTER} if status == 503 else None
    return Response(json.dumps(told, ensure_ascii=False).encode(), status, headers, media_type=MEDIA_TYPE)


def told(app: FastAPI) -> None:
    """From now on `app` says so of everything that is raised."""
    app.add_exception_handler(StationError, _of_station)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(HTTPException, of_http)


def _of_station(request: Request, error: Exception) -> Response:
    if isinstance(error, Reject):
        return details(error.key, _status(error.key), error.params)
    if isinstance(error, CatalogError | Stopping | Stop):
        return details(error.key, 503, error.params)
    raise error


def _of_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return details("bad-parameter", 400, {"name": where, "expected": first["msg"]})


def of_http(request: Request, error: Exception) -> Response:
    """Of a status that somebody raised: no such path, nobody is logged in, it is not for this one."""
    assert isinstance(error, HTTPException)
    answer = details(_KEYS.get(error.status_code, "bad-request"), error.status_code)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _status(key: str) -> int:
    if key.startswith("no-such-") or key in _NOT_FOUND:
        return 404
    if key in _FORBIDDEN:
        return 403
    if key == "locked-out" or key.endswith("-busy"):
        return 429
    return 400 if key.startswith("bad-") else 409
