"""A look at one clip, by a person who may see footage: its whole story, or the recording itself. Each look is
an entry of the log, which is committed before anything is shown."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from agent.access.roles import Caller
from agent.errors import Reject
from agent.web.api import footage, retained, shapes, told
from agent.web.api.answers import answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import TEXT
from agent.web.api.clips import ClipId, one
from agent.web.api.views import LASTS, SECRET, Views
from agent.web.api.who import Viewing
from agent.web.door import session_of

#: What a browser says of who makes it ask: a page of ours, or the person. Other programs say nothing.
_OWN = ("", "same-origin", "none")
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in sorted({*footage.MEDIA.values(), footage.OTHER})}},
    206: {"description": "The part that was asked for, or its beginning."},
    416: {"description": "The file is not that long.", "content": {}},
}


class Looked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=TEXT)


def routes(asked: Asked) -> APIRouter:
    router, views = APIRouter(tags=["views"]), Views()

    def view(caller: Caller, clip: int, what: str, reason: str = "") -> Mapping[str, Any]:
        work = asked.commands.get("view")
        if work is None:  # a station without its data disk keeps no log
            raise Reject("no-log-yet")
        said = {"clip": str(clip), "what": what, "person": caller.name, "reason": reason}
        return work(said, caller.who)

    @router.get("/clips/{clip}/story", response_model=shapes.Story)
    def story(request: Request, clip: ClipId, caller: Viewing) -> Response:
        """Everything that happened to a clip, and why it is still kept. That it is looked at is an entry."""
        if request.headers.get("sec-fetch-site", "") not in _OWN:  # nobody looks because of another page
            raise Reject("other-site")
        one(asked, clip, caller)
        found = view(caller, clip, "story")
        about = told.clip(one(asked, clip, caller), caller, asked.units_of)
        kept = retained.told(asked.explain(clip))
        return answer(request, {"clip": about, **told.story(found), "kept": kept})

    @router.post("/clips/{clip}/views", response_model=shapes.View, status_code=201)
    def begin(request: Request, clip: ClipId, body: Looked, caller: Viewing) -> Response:
        """Look at the recording: an entry, and an address for the caller's session alone, for ten minutes."""
        into = one(asked, clip, caller)["merged_into"]
        while into is not None:
            into = one(asked, into, caller)["merged_into"]
        found = view(caller, clip, "recording", body.reason)
        secret = views.begin(found["clip"], found["key"], _whose(request, caller))
        shown: shapes.View = {
            "event": found["event"],
            "clip": found["clip"],
            "address": f"/api/v1/views/{secret}",
            "seconds": LASTS,
            "size": found["size"],
            "media": footage.media(found["key"]),
        }
        return answer(request, shown, 201)

    @router.get("/views/{secret}", response_class=Response, responses=_BYTES)
    def recording(
        request: Request, secret: Annotated[str, Path(pattern=SECRET)], caller: Viewing
    ) -> Response:
        """The bytes of a recording, also in parts (`Range`); of a part at most 1 MiB at once."""
        seen = views.of(secret, _whose(request, caller))
        # Who asks on condition of a mark of ours has none: the whole file.
        ranged = "" if "if-range" in request.headers else request.headers.get("range", "")
        return footage.answered(asked.opened(seen.clip, seen.key), seen.clip, seen.key, ranged)

    return router


def _whose(request: Request, caller: Caller) -> str:
    session = hashlib.sha256(session_of(request.scope).encode()).hexdigest()
    return f"{caller.how} {caller.who} {session}"
