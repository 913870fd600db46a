"""Values made fit for JSON and screens: what a recorder calls itself may be anything."""

import math
from collections.abc import Mapping
from typing import Any

from agent.model import printable

_LONGEST_LIST = 100


def plain(given: Any) -> Any:
    """Numbers, booleans and None stay; text becomes printable; containers are made plain inside."""
    if isinstance(given, float) and not math.isfinite(given):
        return None
    if given is None or isinstance(given, bool | int | float):
        return given
    if isinstance(given, Mapping):
        return {printable(str(key)): plain(value) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [plain(value) for value in given[:_LONGEST_LIST]]
    return printable(given if isinstance(given, str) else str(given))
