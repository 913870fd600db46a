"""Hours of a day as people write them: `19:00-07:00`. The end may be on the next day."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_PATTERN = r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])"
_WRITTEN = re.compile(_PATTERN, re.ASCII)


def within(hours: str, minute: int) -> bool:
    """Whether the `minute` of a day (0–1439) lies in `hours`. The end itself does not."""
    begin, end = _span(hours)
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def _span(hours: str) -> tuple[int, int]:
    found = _WRITTEN.fullmatch(hours)
    if found is None:
        raise ValueError('should be hours of a day such as `"19:00-07:00"`')
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if begin == end:
        raise ValueError("ends when it begins: leave it out for the whole day")
    return begin, end


def _checked(hours: str) -> str:
    _span(hours)
    return hours


Hours = Annotated[
    str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$"})
]
