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


def exact(given: Any) -> Any:
    """Fit for JSON only, and whole: what a program asked for, as heads to be carried with their lines, or
    every clip of a sample. Whoever shows it on a screen makes it printable there."""
    if isinstance(given, Mapping):
        return {str(key): exact(value) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [exact(value) for value in given]
    if isinstance(given, str):
        return given.encode("utf-8", "backslashreplace").decode("utf-8")
    return plain(given)
