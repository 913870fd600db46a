"""What a change that lets clips go earlier takes: how many persons, how long a wait, how many clips at most.

A guard that the configuration loosens counts a week later, else one edit of a file could loosen it and use
that. One that it tightens counts at once. Each change is an entry, `guards`.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.catalog import Catalog, door, meta
from agent.config import RetentionConfig

WEEK = 7 * 86400.0
_META = "guards"


@dataclass(frozen=True, slots=True)
class Guards:
    """`cooling_off` in seconds, `most_affected` in percent."""

    two_persons: bool = True
    cooling_off: float = WEEK
    most_affected: float = 10.0

    def strictest(self, other: "Guards") -> "Guards":
        return Guards(
            self.two_persons or other.two_persons,
            max(self.cooling_off, other.cooling_off),
            min(self.most_affected, other.most_affected),
        )


def follow(catalog: Catalog, config: RetentionConfig) -> None:
    """At every start, and at every change of the configuration."""
    now = Guards(config.two_persons, config.cooling_off, config.most_affected)

    def work(tx: sqlite3.Connection) -> None:
        said = _said(tx)
        if said is not None and Guards(**said["now"]) == now:
            return
        before = None if said is None else asdict(now.strictest(_in_force(said)))
        facts = {"now": asdict(now), "until_then": before}
        door.note(tx, "guards", None, facts)
        meta.put(tx, _META, json.dumps({**facts, "since": door.stamp().wall}))

    catalog.write(work)


def in_force(db: sqlite3.Connection) -> Guards:
    """By the last entry, not by the file; without any, the strictest that is shipped."""
    said = _said(db)
    return Guards() if said is None else _in_force(said)


def _in_force(said: Mapping[str, Any]) -> Guards:
    now = Guards(**said["now"])
    late = not 0 <= door.stamp().wall - float(said["since"]) <= WEEK
    return now if late or said["until_then"] is None else now.strictest(Guards(**said["until_then"]))


def _said(db: sqlite3.Connection) -> dict[str, Any] | None:
    text = meta.get(db, _META)
    return dict(json.loads(text)) if text else None
