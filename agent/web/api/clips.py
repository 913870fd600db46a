"""Clips: looking for them. What a list tells is no view: none of it is an entry of the log."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.access.roles import Caller, Right, Role, may
from agent.catalog import search
from agent.catalog.search import Wanted
from agent.errors import Reject
from agent.model import ClipState
from agent.web.api import cursor, shapes, told
from agent.web.api.answers import answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import LARGEST, NAME, ROWS
from agent.web.api.who import Looking

ClipId = Annotated[int, Path(ge=1, le=LARGEST)]


class ClipsWanted(BaseModel):
    """Recordings are looked for by the recorder's time; a time with a zone counts as the station's."""

    model_config = ConfigDict(extra="forbid")

    state: ClipState | None = None
    recorder: str = Field("", max_length=NAME)
    officer: str = Field("", max_length=NAME)
    important: bool | None = None
    category: str = Field("", max_length=NAME)
    case: str = Field("", max_length=NAME)
    since: datetime | None = Field(None, description="Recorded at this moment or later.")
    until: datetime | None = Field(None, description="Recorded before this moment.")
    limit: int = Field(100, ge=1, le=ROWS)
    cursor: str | None = Field(None, max_length=NAME, description="`next` of the page before.")


def routes(asked: Asked) -> APIRouter:
    router = APIRouter(tags=["clips"])

    @router.get("/clips", response_model=shapes.Clips)
    def clips(request: Request, wanted: Annotated[ClipsWanted, Query()], caller: Looking) -> Response:
        """Clips that fit, the newest recordings first. A page may be shorter than asked for, or empty, and
        not be the last one: only `next` tells."""
        if (wanted.recorder or wanted.officer or wanted.case) and not may(caller, Right.SEE_NAMES):
            raise HTTPException(403)  # what is found would tell
        page = search.page(
            asked.read(),
            _wanted(wanted, caller),
            cursor.read(wanted.cursor),
            wanted.limit,
            told.visible(caller, asked.units_of),
        )
        rows = [told.clip(row, caller, asked.units_of) for row in page.rows]
        return answer(request, {"clips": rows, "next": cursor.written(page.next)})

    @router.get("/clips/{clip}", response_model=shapes.Clip)
    def clip(request: Request, clip: ClipId, caller: Looking) -> Response:
        """One clip, as the list tells it."""
        return answer(request, told.clip(one(asked, clip, caller), caller, asked.units_of))

    return router


def one(asked: Asked, clip: int, caller: Caller) -> dict[str, Any]:
    """Raises Reject `no-such-clip`, also of one that is not for the caller."""
    row = search.one(asked.read(), clip)
    if row is None or not told.visible(caller, asked.units_of)(row):
        raise Reject("no-such-clip", clip=clip)
    return row


def _wanted(wanted: ClipsWanted, caller: Caller) -> Wanted:
    officer = wanted.officer
    if caller.role is Role.OFFICER:
        officer = caller.officer  # what is not theirs is not looked through either
    return Wanted(
        state=wanted.state or "",
        recorder=wanted.recorder,
        officer=officer,
        important=wanted.important,
        category=wanted.category,
        case=wanted.case,
        since=_local(wanted.since),
        until=_local(wanted.until),
    )


def _local(moment: datetime | None) -> str:
    if moment is None:
        return ""
    try:
        there = moment.astimezone() if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise Reject("bad-parameter", name="since, until", expected="a time of this age") from error
    return there.replace(tzinfo=None, microsecond=0).isoformat()
