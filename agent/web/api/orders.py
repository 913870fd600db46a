"""What people may have the station do. Each order is a command of the narrow door, given in the caller's
name, and an entry of the log."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.access.roles import Caller, Right, may, whole
from agent.errors import Reject
from agent.status.plain import exact
from agent.web.api import shapes
from agent.web.api.answers import MASKED, answer
from agent.web.api.asked import Asked
from agent.web.api.bounds import LARGEST, NAME, TEXT
from agent.web.api.clips import ClipId, one
from agent.web.api.who import Acknowledging, Collecting, Holding, Known, Labelling

_MOST = 1_000  # clips of one order
_NUMBER = re.compile("[0-9]{1,18}")
Number = Annotated[int, Path(ge=1, le=LARGEST)]
Said = Mapping[str, str | None]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reason(_Body):
    reason: str = Field(min_length=1, max_length=TEXT)


class Labels(Reason):
    """What is not given stays as it is; an empty text takes a label away."""

    clips: list[Annotated[int, Field(ge=1, le=LARGEST)]] = Field(min_length=1, max_length=_MOST)
    category: str | None = Field(None, max_length=NAME)
    case: str | None = Field(None, max_length=NAME)
    important: Literal["yes", "no", ""] | None = None
    officer: str | None = Field(None, max_length=NAME)
    note: str | None = Field(None, max_length=TEXT)


class NewHold(Reason):
    """`since` and `until`: of an officer alone; local times as people write them."""

    scope: Literal["clip", "recorder", "officer", "case"]
    value: str = Field(min_length=1, max_length=NAME)
    since: str = Field("", max_length=40)
    until: str = Field("", max_length=40)


class Noted(_Body):
    """`subject`: as the issue tells it, where several of one key stand."""

    note: str = Field(min_length=1, max_length=TEXT)
    subject: str | None = Field(None, max_length=TEXT)


class Retried(_Body):
    clip: int | None = Field(None, ge=1, le=LARGEST, description="Without one: all that failed.")


def routes(asked: Asked) -> APIRouter:
    router = APIRouter(tags=["orders"])

    def give(request: Request, caller: Caller, name: str, said: Said, status: int = 200) -> Response:
        work = asked.commands.get(name)
        if work is None:  # a station without its data disk keeps nothing that would be gone at the next start
            raise Reject("not-found", what=name)
        told = work({key: value for key, value in said.items() if value is not None}, caller.who)
        return answer(request, {"done": True, **exact(told)}, status)

    @router.post("/labels", response_model=shapes.Told)
    def label(request: Request, body: Labels, caller: Labelling) -> Response:
        """Label clips. What lets any of them go earlier waits for a second person."""
        for clip in body.clips:
            one(asked, clip, caller)
        said = body.model_dump(exclude={"clips"}, exclude_none=True)
        clips = ",".join(str(clip) for clip in body.clips)
        return give(request, caller, "label", {**said, "clips": clips, "person": caller.name})

    @router.post("/holds", response_model=shapes.Told, status_code=201)
    def hold(request: Request, body: NewHold, caller: Holding) -> Response:
        """Hold what this covers, whatever the rules say, until somebody lifts it."""
        if not whole(caller):  # of what cannot be looked at one by one, nobody can say whose it is
            if body.scope != "clip" or not _NUMBER.fullmatch(body.value):
                raise HTTPException(403)
            one(asked, int(body.value), caller)
        said = {**body.model_dump(), "person": caller.name}
        return give(request, caller, "hold-set", said, 201)

    @router.post("/holds/{hold}/lift", response_model=shapes.Told)
    def lift(request: Request, hold: Number, body: Reason, caller: Holding) -> Response:
        """Lift a hold: a second person has to agree. For who looks after the whole station."""
        _of_the_whole(caller)
        said = {"hold": str(hold), "reason": body.reason, "person": caller.name}
        return give(request, caller, "hold-lift", said)

    @router.post("/asks/{asked_for}/agree", response_model=shapes.Told)
    def agree(request: Request, asked_for: Number, caller: Known) -> Response:
        """Agree, as the second person, to what another one asked for. For who looks after the whole
        station."""
        if not (may(caller, Right.HOLD) or may(caller, Right.LABEL)):
            raise HTTPException(403)
        _of_the_whole(caller)
        return give(request, caller, "agree", {"asked": str(asked_for), "person": caller.name})

    @router.post("/clips/{clip}/first", response_model=shapes.Told)
    def first(request: Request, clip: ClipId, caller: Collecting) -> Response:
        """Send this clip before all others."""
        one(asked, clip, caller)
        return give(request, caller, "upload-now", {"clip": str(clip)})

    @router.post("/slots/{slot}/first", response_model=shapes.Told)
    def slot_first(request: Request, slot: str, caller: Collecting) -> Response:
        """Read what is in this slot before others that wait, and send what it brings before all others."""
        try:
            told = dict(asked.commands["upload-slot"]({"slot": slot}, caller.who))
        except Reject as error:
            raise Reject(error.key, **_masked(error.params, caller)) from error
        return answer(request, {"done": True, **exact(_masked(told, caller))})

    @router.post("/slots/{slot}/stop", response_model=shapes.Told)
    def stop(request: Request, slot: str, body: Reason, caller: Collecting) -> Response:
        """Use this slot no more. What is being copied there is finished."""
        return give(
            request, caller, "slot-stop", {"slot": slot, "reason": body.reason, "person": caller.name}
        )

    @router.post("/slots/{slot}/use", response_model=shapes.Told)
    def use(request: Request, slot: str, caller: Collecting) -> Response:
        """Use this slot again."""
        return give(request, caller, "slot-use", {"slot": slot, "person": caller.name})

    @router.post("/issues/{key}/acknowledge", response_model=shapes.Told)
    def acknowledge(request: Request, key: str, body: Noted, caller: Acknowledging) -> Response:
        """Say that somebody knows of this issue. It stays listed, until it is over."""
        # Whom it is masked for may mean the only one of its key.
        subject = None if body.subject == MASKED else body.subject
        said = {"key": key, "subject": subject, "note": body.note, "person": caller.name}
        try:
            return give(request, caller, "issue-acknowledge", said)
        except Reject as error:
            raise Reject(error.key, **_unnamed(error.params, caller)) from error

    @router.post("/retry", response_model=shapes.Told)
    def retry(request: Request, body: Retried, caller: Collecting) -> Response:
        """Try again now what failed."""
        return give(request, caller, "upload-retry", {"clip": None if body.clip is None else str(body.clip)})

    return router


def _of_the_whole(caller: Caller) -> None:
    """What it is about may be anybody's."""
    if not whole(caller):
        raise HTTPException(403)


def _unnamed(params: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
    """Of an issue: what tells two of one key apart may be a recorder."""
    return {**params, "subjects": [MASKED]} if "subjects" in params and not whole(caller) else params


def _masked(told: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
    """Of a slot: nobody looked whose recorder it is."""
    return {**told, "recorder": MASKED} if "recorder" in told and not whole(caller) else told
