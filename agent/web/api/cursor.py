"""Where a page ended. Opaque to who asks: to be given back as it is."""

import base64
import binascii
import json

from agent.catalog.search import BEGIN, Position
from agent.errors import Reject
from agent.web.api.bounds import LARGEST

_LONGEST = 200


def written(at: Position | None) -> str | None:
    return None if at is None else base64.urlsafe_b64encode(json.dumps([at.at, at.id]).encode()).decode()


def read(text: str | None) -> Position:
    """Raises Reject `bad-parameter`: it was made up, or is of another version."""
    if text is None:
        return BEGIN
    try:
        at, number = json.loads(base64.b64decode(text[:_LONGEST].encode(), b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise _bad() from error
    if not isinstance(at, str) or not at.isascii() or type(number) is not int or not 0 <= number <= LARGEST:
        raise _bad()
    return Position(at, number)


def _bad() -> Reject:
    return Reject("bad-parameter", name="cursor", expected="`next` of the page before")
