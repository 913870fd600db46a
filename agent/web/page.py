"""A page of the station, opened in a language."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from agent.words import LANGUAGES

Page = Callable[[Request], Response]


def page(html: str, language: Callable[[], str]) -> Page:
    """`language` is the configured one, asked at each opening. What is in the page is for everybody: all that
    it tells it asks the interface for, which knows who may."""

    def opened(request: Request) -> Response:
        chosen = language() if language() in LANGUAGES else LANGUAGES[0]
        return Response(html.replace('lang="en"', f'lang="{chosen}"'), media_type="text/html")

    return opened
