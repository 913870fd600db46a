"""What is to be answered for: who handed in what, what is missing of recordings, whose clock is off."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from agent.access.roles import Caller, concerns
from agent.catalog import listing
from agent.errors import Reject
from agent.web.api import shapes, told
from agent.web.api.answers import answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import LARGEST
from agent.web.api.who import Naming

MOST = 2_000  # lines of a day: a rack has 32 slots
_MOST = 200  # findings, and clocks, of a page
_YEARS = range(2000, 2200)  # of days that a calendar in seconds has


class DayWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    day: date | None = Field(None, description="Dockings of this day by the station's clock; else of today.")


class FindingsWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    every: bool = Field(False, description="Also those that are explained or were found.")
    limit: int = Field(100, ge=1, le=_MOST)
    cursor: int = Field(0, ge=0, le=LARGEST, description="`next` of the page before.")


class ClocksWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=_MOST)
    cursor: int = Field(0, ge=0, le=LARGEST, description="`next` of the page before.")


def routes(asked: Asked) -> APIRouter:
    router = APIRouter(tags=["reports"])

    @router.get("/handin", response_model=shapes.HandIn)
    def handin(request: Request, wanted: Annotated[DayWanted, Query()], caller: Naming) -> Response:
        """What was handed in within 24 hours of its recording on a day, what was late, who did not come."""
        day = wanted.day or date.today()
        if day.year not in _YEARS:
            raise Reject("bad-parameter", name="day", expected="a day of this age")
        return answer(request, _handin(asked.handin(day), day, caller))

    @router.get("/findings", response_model=shapes.Findings)
    def findings(request: Request, wanted: Annotated[FindingsWanted, Query()], caller: Naming) -> Response:
        """What is unexplained about recordings, by number."""
        found = asked.findings(wanted.every, wanted.cursor, wanted.limit)
        shown = told.visible(caller, asked.units_of)
        rows = [{**row, "officer": listing.officer_of(asked.read(), row["docking"])} for row in found]
        more = str(found[-1]["finding"]) if len(found) == wanted.limit else None
        return answer(request, {"findings": [told.finding(row) for row in rows if shown(row)], "next": more})

    @router.get("/clocks", response_model=shapes.Clocks)
    def clocks(request: Request, wanted: Annotated[ClocksWanted, Query()], caller: Naming) -> Response:
        """How far recorders' clocks are ahead of the station's, by recorder, where they were compared."""
        shown = told.visible(caller, asked.units_of)
        page = listing.recorders(asked.read(), after=wanted.cursor, limit=wanted.limit, shown=shown)
        found = [clock for row in page.rows if (clock := asked.clock(row["recorder"])) is not None]
        more = None if page.next is None else str(page.next)
        return answer(request, {"clocks": [told.clock(one) for one in found], "next": more})

    return router


def _handin(made: Mapping[str, Any], day: date, caller: Caller) -> dict[str, Any]:
    mine = [one for one in made["tallies"] if concerns(caller, one["unit"], one["officer"])]
    pairs = {(one["officer"], one["recorder"]) for one in mine}
    late = [one for one in made["late"] if (one["officer"], one["recorder"]) in pairs]
    return {
        "day": day.isoformat(),
        "recorders": [told.tally(one) for one in mine[:MOST]],
        "late": [told.late(one) for one in late[:MOST]],
        "more": len(mine) > MOST or len(late) > MOST,
    }
