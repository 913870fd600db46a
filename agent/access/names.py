"""How accounts and tokens are spelt: few letters, so that no two names look the same."""

import re
import unicodedata

from agent.errors import Reject

LONGEST = 32  # characters
EXPECTED = f"1–{LONGEST} of a–z, 0–9, Chinese characters, and between them . _ -"
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_NAME = re.compile(rf"[a-z0-9{_CHINESE}](?:[a-z0-9{_CHINESE}._-]{{0,{LONGEST - 2}}}[a-z0-9{_CHINESE}])?")


def spelt(text: str) -> str:
    """The one spelling of a name: small letters, and full-width ones as the others. "" of what is no name."""
    if len(text) > 4 * LONGEST:
        return ""
    name = unicodedata.normalize("NFKC", text).strip().lower()
    return name if _NAME.fullmatch(name) else ""


def of(text: str) -> str:
    """Raises Reject `bad-parameter`."""
    name = spelt(text)
    if not name:
        raise Reject("bad-parameter", name="name", expected=EXPECTED)
    return name
