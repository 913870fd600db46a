"""Where the admin page is found: at `/` from the network, at `/admin` everywhere. Before the rack `/` is the
kiosk's."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.web.page import Page


def admin(shown: Page, kiosk: Page, stands_there: Callable[[Request], bool]) -> list[Route]:
    def home(request: Request) -> Response:
        return (kiosk if stands_there(request) else shown)(request)

    return [Route("/", home), Route("/admin", shown)]
