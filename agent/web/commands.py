"""The narrow door: what an administrator at this machine may have the agent do.

Only over the Unix socket, whose mode says who may; over TCP nothing can be changed. Each command is one
function that raises Reject for what it does not take, and returns what there is to tell.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from agent.errors import CatalogError, Reject, Stopping
from agent.status.plain import exact
from agent.web.answers import as_json, refusal
from agent.web.guard import local_user

#: (its arguments, who asks) → what there is to tell. By name, as in `/commands/NAME`.
Commands = Mapping[str, Callable[[Mapping[str, str], str], Mapping[str, Any]]]

#: Arguments that people write, and what is secret: they are not for the journal.
_WRITTEN = frozenset({"text", "person", "reason", "note", "lines", "password"})
_LARGEST = 64 << 10  # bytes of arguments: carried heads with their proofs
log = logging.getLogger(__name__)


def door(commands: Commands) -> Callable[[Request], Any]:
    async def command(request: Request) -> Response:
        user = local_user(request.scope)
        if user is None:
            return refusal("local-only", 403)
        work = commands.get(request.path_params["name"])
        if work is None:
            return refusal("not-found", 404)
        try:
            arguments = _arguments(await _body(request))
            told = await run_in_threadpool(work, arguments, f"uid {user}")
        except Reject as error:
            return refusal(error.key, 400, error.params)
        except (CatalogError, Stopping) as error:
            return refusal(error.key, 503, error.params)
        log.info("%s %s, by uid %d", request.path_params["name"], _logged(arguments), user)
        return as_json({"done": True, **exact(told)})

    return command


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > _LARGEST:
            raise Reject("bad-parameter", name="arguments", expected=f"at most {_LARGEST} bytes")
    return bytes(found)


def _logged(arguments: Mapping[str, str]) -> dict[str, str]:
    """Without what people wrote: that must be erasable, and a journal is not."""
    return {name: value for name, value in arguments.items() if name not in _WRITTEN}


def _arguments(body: bytes) -> Mapping[str, str]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise Reject("bad-parameter", name="arguments", expected="a JSON object of texts")
    return said
