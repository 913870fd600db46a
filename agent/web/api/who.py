"""Who asks, and what a route wants of who asks. `agent.web.door` found out who it is."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from agent.access.roles import Caller, Right, may

SCHEMES = {
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
    "token": {"type": "http", "scheme": "bearer"},
}


def known(request: Request) -> Caller:
    caller: Caller | None = request.scope.get("caller")
    if caller is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return caller


Known = Annotated[Caller, Depends(known)]


def having(right: Right) -> Callable[[Caller], Caller]:
    def allowed(caller: Known) -> Caller:
        if not may(caller, right):
            raise HTTPException(403)
        return caller

    return allowed


def naming(caller: Annotated[Caller, Depends(having(Right.SEE_CLIPS))]) -> Caller:
    """For what cannot be told without names."""
    if not may(caller, Right.SEE_NAMES):
        raise HTTPException(403)
    return caller


Watching = Annotated[Caller, Depends(having(Right.SEE_STATUS))]
Looking = Annotated[Caller, Depends(having(Right.SEE_CLIPS))]
Naming = Annotated[Caller, Depends(naming)]
Viewing = Annotated[Caller, Depends(having(Right.SEE_FOOTAGE))]
Labelling = Annotated[Caller, Depends(having(Right.LABEL))]
Holding = Annotated[Caller, Depends(having(Right.HOLD))]
Collecting = Annotated[Caller, Depends(having(Right.COLLECT))]
Acknowledging = Annotated[Caller, Depends(having(Right.ACKNOWLEDGE))]
Keeping = Annotated[Caller, Depends(having(Right.SEE_SETTINGS))]
Logging = Annotated[Caller, Depends(having(Right.SEE_LOGS))]
