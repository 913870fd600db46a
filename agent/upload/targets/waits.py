"""How long a server asks to be left alone."""

import re
from collections.abc import Mapping


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, of a `Retry-After` in seconds. One that is a date is not believed: its clock may be wrong."""
    said = headers.get("Retry-After", "").strip()
    return float(said) if re.fullmatch("[0-9]{1,9}", said, re.ASCII) else None
