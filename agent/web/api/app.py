"""The interface as one application, to be mounted under `/api/v1`."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from agent.access.access import Access
from agent.web.api import clips, dockings, orders, problems, reports, session, station, story
from agent.web.api.asked import Asked
from agent.web.api.who import SCHEMES

PREFIX = "/api/v1"
_LARGEST = 64 << 10  # bytes of a body: the longest order there can be, twice


def api(asked: Asked, access: Access) -> FastAPI:
    # Its own pages for reading the description would fetch programs from elsewhere.
    app = FastAPI(
        title="Recorder Station",
        version=asked.sources.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
        max_body_size=_LARGEST,
    )
    problems.told(app)
    for room in (station, clips, story, dockings, reports, orders):
        app.include_router(room.routes(asked))
    app.include_router(session.routes(access))

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> dict[str, Any]:
        return described(app)

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def unknown(path: str) -> Response:
        return problems.details("not-found", 404)

    return app


def described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI: every route wants a session or a token."""
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    found["servers"] = [{"url": PREFIX}]
    found.setdefault("components", {})["securitySchemes"] = SCHEMES
    found["security"] = [{"session": []}, {"token": []}]
    return found
