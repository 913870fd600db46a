"""The words of one language: all of them, or those that a page says, which need not load any other."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.web.answers import as_json, refusal
from agent.words import LANGUAGES, words

#: Of each page, by the sections of agent/words.
OF_PAGE: Mapping[str, frozenset[str]] = {
    "kiosk": frozenset({"kiosk", "page", "problems", "slots"}),
    "admin": frozenset(
        {
            "admin", "clip", "clips", "clocks", "deliveries", "events", "findings", "handin", "kiosk", "page",
            "problems", "remedies", "retention", "severity", "slots",
        }
    ),
}  # fmt: skip


def sentences() -> list[Route]:
    return [Route("/words/{language}.json", _all), Route("/words/{language}/{page}.json", _of_page)]


def _all(request: Request) -> Response:
    language = request.path_params["language"]
    return as_json(words(language)) if language in LANGUAGES else refusal("not-found", 404)


def _of_page(request: Request) -> Response:
    language, page = request.path_params["language"], request.path_params["page"]
    if language not in LANGUAGES or page not in OF_PAGE:
        return refusal("not-found", 404)
    return as_json({name: known for name, known in words(language).items() if name in OF_PAGE[page]})
