"""The kiosk page, and the code of a docking's receipt for it."""

import io
from collections.abc import Callable

import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.status.snapshot import Sources
from agent.web.answers import refusal
from agent.web.door import at_the_rack
from agent.web.guard import local_user
from agent.web.page import Page

#: The short receipt of a docking, by its number; "" while there is none.
Receipt = Callable[[int], str]
_DIGITS = 18  # of a number that a query may have


def kiosk(sources: Sources, receipt: Receipt, shown: Page) -> list[Route]:
    def page(request: Request) -> Response:
        return shown(request) if stands_there(request) else refusal("rack-only", 403)

    def code(request: Request) -> Response:
        if not stands_there(request):
            return refusal("rack-only", 403)
        asked = request.query_params.get("docking", "")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS else 0
        # Of what stands here now: any other would be looked for among all events.
        text = receipt(number) if number in {slot.docking for slot in sources.slots()} - {0} else ""
        return Response(_drawn(text), media_type="image/svg+xml") if text else refusal("not-found", 404)

    return [Route("/kiosk", page), Route("/kiosk/receipt.svg", code)]


def stands_there(request: Request) -> bool:
    return at_the_rack(request.scope) or local_user(request.scope) is not None


def _drawn(text: str) -> bytes:
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", light="#fff", svgclass=None, lineclass=None
    )
    return drawn.getvalue()
