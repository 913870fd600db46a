"""Coming in and going out with an account's password."""

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.access.access import Access
from agent.access.roles import Caller, How
from agent.web.api import shapes
from agent.web.api.answers import answer
from agent.web.api.who import Known
from agent.web.door import cookie_name, session_of


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1000)


def routes(access: Access) -> APIRouter:
    router = APIRouter(tags=["session"])

    @router.post("/session", response_model=shapes.Who)
    def login(request: Request, body: Annotated[Login, Body()]) -> Response:
        """Log in: the answer sets a cookie."""
        if request.headers.get("origin") not in (
            None,
            str(request.base_url).rstrip("/").removesuffix("/api/v1"),
        ):
            raise HTTPException(403)
        client = request.client
        secret, caller = access.login(body.name, body.password, client.host if client else "")
        told = answer(request, _who(caller))
        told.set_cookie(
            cookie_name(request.scope),
            secret,
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return told

    @router.get("/session", response_model=shapes.Who)
    def who(request: Request, caller: Known) -> Response:
        """Who is asking, and what that one may do."""
        return answer(request, _who(caller))

    @router.delete("/session", status_code=204, response_class=Response)
    def logout(request: Request, caller: Known) -> Response:
        """Log out."""
        if caller.how is How.SESSION:
            access.logout(session_of(request.scope))
        done = Response(status_code=204)
        done.delete_cookie(
            cookie_name(request.scope),
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",  # browsers let no other touch a cookie of that name
        )
        return done

    return router


def _who(caller: Caller) -> shapes.Who:
    return {
        "name": caller.name,
        "role": caller.role.value if caller.role else None,
        "how": caller.how.value,
        "units": sorted(caller.units),
        "rights": sorted(caller.rights),
    }
