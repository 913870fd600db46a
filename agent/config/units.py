"""Sizes, speeds and durations as people write them: `2 GiB`, `20 MiB/s`, `30 days`. Inside: bytes and bytes
in a second (int), seconds (float)."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

#: Validation context of values that come from a file, where a bare number does not say its unit.
FROM_FILE = {"from_file": True}

_LARGEST_SIZE = (1 << 63) - 1  # what SQLite and off_t can hold
_LARGEST_DURATION = 36_500 * 86_400.0  # 100 years: beyond it somebody mistook the unit

_SIZES = {"B": 1}
_SIZES |= {f"{prefix}B": 1000**n for n, prefix in enumerate("KMGTP", 1)}
_SIZES |= {f"{prefix}iB": 1024**n for n, prefix in enumerate("KMGTP", 1)}
_SIZE_OF = {unit.lower(): factor for unit, factor in _SIZES.items()}
_SIZE_UNITS = sorted(_SIZES.items(), key=lambda item: item[1], reverse=True)

#: The first name of each is how it is written back. `m` is none: minutes or months?
_DURATIONS = {
    ("days", "day", "d"): Decimal(86_400),
    ("h", "hour", "hours"): Decimal(3600),
    ("min", "minute", "minutes"): Decimal(60),
    ("s", "sec", "second", "seconds"): Decimal(1),
    ("ms",): Decimal("0.001"),
    ("week", "weeks"): Decimal(7 * 86_400),
}
_DURATION_OF = {name: factor for names, factor in _DURATIONS.items() for name in names}
_DURATION_UNITS = [(names[0], int(factor)) for names, factor in _DURATIONS.items()][:4]

_WRITTEN = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]+)\s*", re.ASCII)
_RATE = re.compile(r"(.*\S)\s*/\s*s\s*", re.ASCII)
_SIZE_HELP = "should be a size such as `512 MiB`, `2 GiB` or `1.5 GB`"
_RATE_HELP = "should be a speed such as `20 MiB/s`"
_DURATION_HELP = "should be a duration such as `60 s`, `5 min`, `2 h` or `30 days`"


def parse_size(value: object) -> int:
    """Bytes. A bare whole number is bytes too. Raises ValueError that says what to write."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        size = round(_amount(value, _SIZE_OF, _SIZE_HELP))
    if not 0 <= size <= _LARGEST_SIZE:
        raise ValueError(f"{_SIZE_HELP}, between 0 and 8 EiB")
    return size


def parse_duration(value: object) -> float:
    """Seconds, to the microsecond. The unit must be said. Raises ValueError that says what to write."""
    return _bounded(float(_amount(value, _DURATION_OF, _DURATION_HELP)))


def parse_rate(value: object) -> int:
    """Bytes in a second. A bare whole number is that too. Raises ValueError that says what to write."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_RATE_HELP)
    return round(_amount(found[1], _SIZE_OF, _RATE_HELP))


def show_size(size: int) -> str:
    """The shortest exact way to write `size`; `parse_size` gives the same bytes back."""
    unit, factor = next((unit, f) for unit, f in _SIZE_UNITS if size % f == 0 and (size or f == 1))
    return f"{size // factor} {unit}"


def show_rate(rate: int) -> str:
    """Exact; `parse_rate` gives the same bytes in a second back."""
    return f"{show_size(rate)}/s"


def show_duration(seconds: float) -> str:
    """Exact; `parse_duration` gives the same float back."""
    for unit, factor in _DURATION_UNITS:
        if seconds and seconds % factor == 0:
            return f"{int(seconds) // factor} {unit}"
    return f"{Decimal(repr(seconds)):f} s"


def _amount(value: object, units: Mapping[str, int | Decimal], help_: str) -> Decimal:
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError(help_)
    return Decimal(found[1]) * factor


def _duration(value: object, info: ValidationInfo) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and not info.context:
        return _bounded(value)  # from code: seconds
    return parse_duration(value)


def _bounded(seconds: float) -> float:
    if not 0 <= seconds <= _LARGEST_DURATION:
        raise ValueError(f"{_DURATION_HELP}, at most 36500 days")
    return round(float(seconds), 6)


PERMANENT = math.inf


def parse_period(value: object, info: ValidationInfo) -> float:
    """Seconds, or PERMANENT for `permanent`."""
    if value == "permanent" or (value == PERMANENT and not info.context):
        return PERMANENT
    try:
        return _duration(value, info)
    except ValueError as error:
        raise ValueError(f"{error}, or `permanent`") from None


def show_period(seconds: float) -> str:
    return "permanent" if seconds == PERMANENT else show_duration(seconds)


WITH_CASE = "with the case"


def parse_keep(value: object, info: ValidationInfo) -> float | str:
    """A period, or WITH_CASE."""
    if value == WITH_CASE:
        return WITH_CASE
    try:
        return parse_period(value, info)
    except ValueError as error:
        raise ValueError(f"{error} or `{WITH_CASE}`") from None


def show_keep(value: float | str) -> str:
    return value if isinstance(value, str) else show_period(value)


def _pattern(names: "list[str]") -> str:
    """JSON Schema has no flag for case: spell it out, as `parse_*` takes any case."""
    alternatives = ["".join(f"[{c.upper()}{c.lower()}]" for c in name) for name in names]
    return rf"^\s*[0-9]{{1,20}}(\.[0-9]{{1,20}})?\s*({'|'.join(alternatives)})\s*$"


#: An int of bytes.
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(show_size, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "minimum": 0, "pattern": _pattern(list(_SIZE_OF))}),
]

#: An int of bytes in a second.
Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    PlainSerializer(show_rate, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": rf"{_pattern(list(_SIZE_OF))[:-1]}/\s*s\s*$"}),
]

#: A float of seconds.
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(show_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": _pattern(list(_DURATION_OF))}),
]

#: A float of seconds, PERMANENT for ever.
Period = Annotated[
    float,
    BeforeValidator(parse_period),
    PlainSerializer(show_period, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^permanent$|{_pattern(list(_DURATION_OF))}"}),
]

#: A Period, or WITH_CASE.
Keep = Annotated[
    float | Literal["with the case"],
    BeforeValidator(parse_keep),
    PlainSerializer(show_keep, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^permanent$|^{WITH_CASE}$|{_pattern(list(_DURATION_OF))}"}
    ),
]
