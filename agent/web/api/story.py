"""A look at one clip, by a person who may see footage: its whole story, or the recording itself. Each look is
an entry of the log, which is committed before anything is shown."""

import hashlib
import os
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from agent.access.roles import Caller, Right, may
from agent.errors import Reject
from agent.model import COLLECTED, ClipState
from agent.web.api import footage, retained, shapes, told
from agent.web.api.answers import answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import TEXT
from agent.web.api.clips import ClipId, one
from agent.web.api.turns import Looks, Seats
from agent.web.api.views import LASTS, SECRET, View, Views
from agent.web.api.who import Viewing
from agent.web.door import again, session_of

#: What a browser says of who makes it ask, and for what: a program of our own page. An address that somebody
#: was sent, a page's preview of it, or a film that names it asks otherwise. Other programs say nothing.
_OWN = {"sec-fetch-site": ("", "same-origin"), "sec-fetch-dest": ("", "empty")}
_LOCAL = COLLECTED - {ClipState.RELEASED}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in sorted({*footage.MEDIA.values(), footage.OTHER})}},
    206: {"description": "The part that was asked for, or its beginning."},
    416: {"description": "The file is not that long.", "content": {}},
}


class Looked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=TEXT)


def routes(asked: Asked) -> APIRouter:
    router, views, looks, seats = APIRouter(tags=["views"]), Views(), Looks(), Seats()

    def view(caller: Caller, clip: int, what: str, reason: str = "") -> Mapping[str, Any]:
        work = asked.commands.get("view")
        if work is None:  # a station without its data disk keeps no log
            raise Reject("no-log-yet")
        looks.take(caller.who)
        said = {"clip": str(clip), "what": what, "person": caller.name, "reason": reason}
        return work(said, caller.who)

    @router.get("/clips/{clip}/story", response_model=shapes.Story)
    def story(request: Request, clip: ClipId, caller: Viewing) -> Response:
        """Everything that happened to a clip, and why it is still kept. That it is looked at is an entry."""
        if any(request.headers.get(name, "") not in own for name, own in _OWN.items()):
            raise Reject("other-site")  # nobody looks because of another page
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

        def may_go_on() -> bool:
            now = again(request.scope)
            try:
                return now is not None and may(now, Right.SEE_FOOTAGE) and bool(_here(asked, seen, now))
            except Reject:
                return False

        seats.take(caller.who)
        try:
            file = _opened(asked, seen, caller)
        except BaseException:
            seats.leave(caller.who)
            raise
        sent = footage.Sent(may_go_on, lambda: seats.leave(caller.who))
        return footage.answered(file, seen.clip, seen.key, ranged, sent)

    return router


def _opened(asked: Asked, seen: View, caller: Caller) -> int:
    """A descriptor. Opened first and asked about then: what is set aside between the two is not shown."""
    file = asked.opened(seen.clip, seen.key)
    try:
        _here(asked, seen, caller)
    except BaseException:
        os.close(file)
        raise
    return file


def _here(asked: Asked, seen: View, caller: Caller) -> Mapping[str, Any]:
    """The clip as it is now: labels, rosters and what became of it change while somebody looks on. Raises
    Reject."""
    row = one(asked, seen.clip, caller)
    if row["state"] not in _LOCAL:
        raise Reject("clip-not-here", clip=seen.clip, state=row["state"])
    return row


def _whose(request: Request, caller: Caller) -> str:
    session = hashlib.sha256(session_of(request.scope).encode()).hexdigest()
    return f"{caller.how} {caller.who} {session}"
