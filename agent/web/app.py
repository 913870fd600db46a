"""The routes. Answers are made from snapshots; what changes anything is behind `agent.web.commands`."""

from collections.abc import Callable, Iterator
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from agent.access.access import Access
from agent.access.roles import How, Right, may, whole
from agent.errors import Reject
from agent.status.metrics import Exposition
from agent.status.plain import plain
from agent.status.remembered import Remembered
from agent.status.snapshot import Sources, snapshot
from agent.web.admin import admin
from agent.web.answers import as_json, refusal
from agent.web.api import problems
from agent.web.api.app import PREFIX, api
from agent.web.api.asked import Asked
from agent.web.clips import ClipReader, parse
from agent.web.commands import door
from agent.web.door import Door
from agent.web.findings import FindingReader
from agent.web.findings import parse as parse_findings
from agent.web.guard import Guard, local_user
from agent.web.kiosk import Receipt, kiosk, stands_there
from agent.web.page import page
from agent.web.rate import Rate
from agent.web.sentences import sentences

#: Seconds that an answer holds, so that fifty open pages cost little more than one. A screen that asks every
#: 0.75 s still shows each change within 1.5 s.
_HOLDS = 0.4
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def application(
    sources: Sources,
    clips: ClipReader,
    findings: FindingReader,
    language: Callable[[], str],
    asked: Asked,
    access: Access,
    metrics: Exposition,
    receipt: Receipt = lambda docking: "",
) -> Starlette:
    """`clips` and `findings` read the catalog; `language` is the configured one, asked at each opening of the
    page. `asked`: whom the published interface asks; `access`: who may; `receipt` is the short one of a
    docking.

    Endpoints are plain functions: Starlette runs them on threads, so a slow read stops no other."""

    lately = Remembered(lambda: as_json(snapshot(sources)).body, _HOLDS)

    def status(request: Request) -> Response:
        if refused := _refused(request, Right.SEE_STATUS):
            return refused
        caller = request.scope["caller"]
        if not whole(caller):
            return refusal("forbidden", 403)  # /api/v1/status tells what is for this one
        # Who gives an order at this machine sees at once what came of it.
        body = lately() if caller.how is How.KIOSK else as_json(snapshot(sources)).body
        return Response(body, media_type="application/json")

    def scrape(request: Request) -> Response:
        if refused := _refused(request, Right.SCRAPE):
            return refused
        body, media_type = metrics(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})

    def healthz(request: Request) -> Response:
        return as_json({"alive": True})

    def readyz(request: Request) -> Response:
        waiting_for = list(sources.waiting_for())
        return as_json({"ready": not waiting_for, "waiting_for": waiting_for}, 503 if waiting_for else 200)

    def list_clips(request: Request) -> Response:
        if local_user(request.scope) is None:
            return refusal("local-only", 403)
        try:
            query = parse(request.query_params)
        except Reject as error:
            return refusal(error.key, 400, error.params)
        return as_json([plain(row) for row in clips(query)])

    def list_findings(request: Request) -> Response:
        if local_user(request.scope) is None:
            return refusal("local-only", 403)
        try:
            query = parse_findings(request.query_params)
        except Reject as error:
            return refusal(error.key, 400, error.params)
        return as_json([plain(row) for row in findings(*query)])

    rack = page(_file("kiosk.html"), language)
    return Starlette(
        routes=[
            *kiosk(sources, receipt, rack),
            *admin(page(_file("admin.html"), language), rack, stands_there),
            Route("/status", status),
            Route("/metrics", scrape),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/clips", list_clips),
            Route("/findings", list_findings),
            Route("/commands/{name}", door(asked.commands), methods=["POST"]),
            Mount(PREFIX, api(asked, access)),
            *sentences(),
            *_static(),
        ],
        middleware=[Middleware(Guard), Middleware(Rate), Middleware(Door, access=access)],
        exception_handlers={HTTPException: problems.of_http},
    )


def _refused(request: Request, right: Right) -> Response | None:
    caller = request.scope["caller"]
    if caller is None:
        return refusal("login-needed", 401)
    return None if may(caller, right) else refusal("forbidden", 403)


def _static() -> list[Route]:
    """Every file beside the pages, read once: no path of a request ever reaches the file system."""
    return [
        Route(f"/static/{name}", _serve(name, _TYPES[suffix]))
        for name in _names()
        if (suffix := name[name.rfind(".") :]) in _TYPES
    ]


def _names() -> Iterator[str]:
    for found in resources.files("agent.web").joinpath("static").iterdir():
        if found.is_dir():
            yield from (f"{found.name}/{file.name}" for file in found.iterdir())
        else:
            yield found.name


def _serve(name: str, media_type: str) -> Callable[[Request], Response]:
    text = _file(name)
    return lambda request: Response(text, media_type=media_type)


def _file(name: str) -> str:
    return resources.files("agent.web").joinpath("static", name).read_text(encoding="utf-8")
