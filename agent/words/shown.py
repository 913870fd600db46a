"""Values as people read them. `agent/web/static/words.js` does the same in the browser."""

import math
from typing import Any

from agent.model import printable

_LONGEST = 160  # characters of one value: a screen is not a place for a 255-byte name, escaped


def value(given: Any) -> str:
    if isinstance(given, list | tuple | set | frozenset):
        text = ", ".join(value(each) for each in given)
    else:
        text = printable(str(given))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def size(given: Any) -> str:
    """Bytes in binary units."""
    if not _is_number(given):
        return value(given)
    amount = float(given)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def duration(given: Any) -> str:
    """Seconds as `42 s`, `3:05 min` or `2:03 h`; more than two days as days."""
    if not _is_number(given):
        return value(given)
    total = int(abs(given) + 0.5)
    sign = "-" if given < 0 and total else ""
    if total < 60:
        return f"{sign}{total} s"
    if total < 3600:
        return f"{sign}{total // 60}:{total % 60:02d} min"
    if total < 2 * 86400:
        return f"{sign}{total // 3600}:{total % 3600 // 60:02d} h"
    return f"{sign}{total // 86400} d"


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
