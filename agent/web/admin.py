"""Where the admin page is found: at `/` from the network, at `/admin` everywhere. Before the rack `/` is the
kiosk's."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.web.answers import as_json, refusal
from agent.web.page import Page
from agent.words import LANGUAGES, words

#: Of the words: what only commands say would be a tenth of all that the page weighs.
SECTIONS = frozenset(
    {
        "admin", "clip", "clips", "clocks", "deliveries", "events", "findings", "handin", "kiosk", "page",
        "problems", "remedies", "retention", "severity", "slots",
    }
)  # fmt: skip


def admin(shown: Page, kiosk: Page, stands_there: Callable[[Request], bool]) -> list[Route]:
    def home(request: Request) -> Response:
        return (kiosk if stands_there(request) else shown)(request)

    return [Route("/", home), Route("/admin", shown), Route("/words/{language}/admin.json", _words)]


def _words(request: Request) -> Response:
    language = request.path_params["language"]
    if language not in LANGUAGES:
        return refusal("not-found", 404)
    return as_json({name: known for name, known in words(language).items() if name in SECTIONS})
