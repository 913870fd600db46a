"""What the station is and does now: status, slots, issues, targets, the log's head, the configuration."""

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from agent.access.roles import Caller
from agent.errors import Reject
from agent.status.plain import plain
from agent.status.snapshot import snapshot
from agent.web.api import shapes, told
from agent.web.api.answers import answer, moment
from agent.web.api.asked import Asked
from agent.web.api.who import Keeping, Logging, Watching


def routes(asked: Asked) -> APIRouter:
    router = APIRouter(tags=["station"])

    def slots_for(caller: Caller) -> list[shapes.Slot]:
        return [told.slot(row, caller, asked.units_of) for row in snapshot(asked.sources)["slots"]]

    @router.get("/status", response_model=shapes.Status)
    def status(request: Request, caller: Watching) -> Response:
        """One look at the whole station."""
        seen = snapshot(asked.sources)
        whole: dict[str, Any] = {
            **seen,
            "now": moment(time.time()),
            "slots": [told.slot(row, caller, asked.units_of) for row in seen["slots"]],
            "health": [told.issue(row, caller) for row in seen["health"]],
        }
        return answer(request, whole, passing=("now", "uptime_seconds"))

    @router.get("/slots", response_model=shapes.Slots)
    def slots(request: Request, caller: Watching) -> Response:
        """Every slot of the rack, in the cabinet's order."""
        return answer(request, {"slots": slots_for(caller)})

    @router.get("/slots/{slot}", response_model=shapes.Slot)
    def slot(request: Request, slot: str, caller: Watching) -> Response:
        """One slot."""
        for row in slots_for(caller):
            if row["slot"] == slot:
                return answer(request, row)
        raise Reject("no-such-slot", slot=slot)

    @router.get("/issues", response_model=shapes.Issues)
    def issues(request: Request, caller: Watching) -> Response:
        """What is wrong with the station, the worst first."""
        found = [told.issue(row, caller) for row in snapshot(asked.sources)["health"]]
        return answer(request, {"issues": found})

    @router.get("/targets", response_model=shapes.Targets)
    def targets(request: Request, caller: Keeping) -> Response:
        """The central stores, and whether they take clips now."""
        found: list[shapes.Target] = [
            {
                "target": plain(name),
                "kind": kind,
                "up": problem is None,
                "problem": None if problem is None else {"key": problem.key, "params": plain(problem.params)},
            }
            for name, kind, problem in asked.targets()
        ]
        return answer(request, {"targets": found})

    @router.get("/log/head", response_model=shapes.Heads)
    def head(request: Request, caller: Logging) -> Response:
        """The signed head of the station's log: keep it, and what lies under it can be changed no more."""
        head = asked.head()
        return answer(request, {"head": head._asdict() if head else None})

    @router.get("/configuration", response_model=dict[str, Any])
    def configuration(request: Request, caller: Keeping) -> Response:
        """The configuration in force, without secrets."""
        return answer(request, asked.facts())

    return router
