"""Dockings with their receipts, recorders, and holds."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.access.roles import Right, Role, may
from agent.catalog import listing
from agent.errors import Reject
from agent.web.api import shapes, told
from agent.web.api.answers import answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import LARGEST, NAME, ROWS
from agent.web.api.who import Looking, Naming


class DockingsWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recorder: str = Field("", max_length=NAME)
    limit: int = Field(100, ge=1, le=ROWS)
    cursor: int = Field(LARGEST, ge=1, le=LARGEST, description="`next` of the page before.")


class RecordersWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=ROWS)
    cursor: int = Field(0, ge=0, le=LARGEST, description="`next` of the page before.")


class HoldsWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lifted: bool = Field(False, description="Also those that were lifted.")
    limit: int = Field(100, ge=1, le=ROWS)
    cursor: int = Field(0, ge=0, le=LARGEST, description="`next` of the page before.")


def routes(asked: Asked) -> APIRouter:
    router = APIRouter(tags=["dockings"])

    @router.get("/dockings", response_model=shapes.Dockings)
    def dockings(request: Request, wanted: Annotated[DockingsWanted, Query()], caller: Looking) -> Response:
        """The newest first."""
        if wanted.recorder and not may(caller, Right.SEE_NAMES):
            raise HTTPException(403)  # what is found would tell
        page = listing.dockings(
            asked.read(),
            recorder=wanted.recorder,
            before=wanted.cursor,
            limit=wanted.limit,
            shown=told.visible(caller, asked.units_of),
        )
        rows = [told.docking(row, caller, asked.units_of) for row in page.rows]
        return answer(request, {"dockings": rows, "next": _next(page)})

    @router.get(
        "/dockings/{docking}/receipt",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    def receipt(docking: Annotated[int, Path(ge=1, le=LARGEST)], caller: Naming) -> Response:
        """What was handed over at a docking, with the proof that it is in the log."""
        page = listing.dockings(asked.read(), before=min(docking + 1, LARGEST), limit=1)
        found = [row for row in page.rows if row["id"] == docking]
        if not found or not told.visible(caller, asked.units_of)(found[0]):
            raise Reject("no-such-docking", docking=docking)
        return Response(asked.receipt(docking), media_type="text/plain; charset=utf-8")

    @router.get("/recorders", response_model=shapes.Recorders)
    def recorders(request: Request, wanted: Annotated[RecordersWanted, Query()], caller: Naming) -> Response:
        """By number, each with its last docking here."""
        page = listing.recorders(
            asked.read(), after=wanted.cursor, limit=wanted.limit, shown=told.visible(caller, asked.units_of)
        )
        rows = [told.recorder(row, caller, asked.units_of) for row in page.rows]
        return answer(request, {"recorders": rows, "next": _next(page)})

    @router.get("/holds", response_model=shapes.Holds)
    def holds(request: Request, wanted: Annotated[HoldsWanted, Query()], caller: Looking) -> Response:
        """Legal holds, by number."""
        if caller.role is Role.OFFICER:
            raise HTTPException(403)
        page = listing.holds(asked.read(), lifted=wanted.lifted, after=wanted.cursor, limit=wanted.limit)
        rows = [told.hold(row, caller, asked.units_of) for row in page.rows]
        return answer(request, {"holds": rows, "next": _next(page)})

    return router


def _next(page: listing.Page) -> str | None:
    return None if page.next is None else str(page.next)
