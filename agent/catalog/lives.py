"""The life of a clip as its events tell it: what it is, and the way that it went.

The first event of a clip holds what cannot be known without the recorder, so that a lost catalog comes back
from the log. Events of older versions hold less; then the sidecar has to tell the rest.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.catalog.documents import path_fields, path_from
from agent.model import ClipState

S = ClipState
_PLAIN = ("docking", "size", "mtime_ns", "kind", "officer", "sequence", "recorded_at", "time_source")
_FLAGS = ("important", "assigned", "name_parsed")
_EVENTS = "SELECT seq, kind, body, at FROM events WHERE clip = ? ORDER BY seq"


def facts(columns: Mapping[str, Any]) -> dict[str, Any]:
    """What the event that begins a clip tells of these columns of it."""
    plain = {name: columns[name] for name in _PLAIN}
    return {**path_fields(columns["path"]), **plain, **{name: bool(columns[name]) for name in _FLAGS}}


@dataclass(slots=True)
class Life:
    """`columns`: of `clips`, those that the events tell; all that a row needs where `whole`."""

    clip: int
    path: str  # as shown
    docking: int | None
    whole: bool
    columns: dict[str, Any]
    steps: list[tuple[int, str]] = field(default_factory=list)  # (event, state)

    @property
    def state(self) -> ClipState:
        return S(self.steps[-1][1])


def of(db: sqlite3.Connection, clip: int) -> Life | None:
    """None when there is no such clip, or when its events do not follow each other."""
    life: Life | None = None
    for seq, kind, body, at in db.execute(_EVENTS, (clip,)):
        told = json.loads(body)
        try:
            if life is None:
                life = _begun(clip, seq, told, at)
            if "to" in told:
                _step(life, seq, told)
            if kind in _TELLS:
                _TELLS[kind](life.columns, told, at)
        except (KeyError, TypeError, ValueError):
            return None
    return life


def _begun(clip: int, seq: int, told: dict[str, Any], at: float) -> Life:
    if seq != clip:
        raise ValueError("this is not its first event")
    life = Life(clip, str(told.get("path", "")), _number(told.get("docking")), "mtime_ns" in told, {})
    if life.whole:
        life.columns |= {name: told[name] for name in _PLAIN + _FLAGS}
        life.columns |= {
            "size": int(told["size"]),
            "mtime_ns": int(told["mtime_ns"]),
            "path": path_from(told),
        }
        life.columns["seen_at"] = at
    return life


def _step(life: Life, seq: int, told: Mapping[str, Any]) -> None:
    if told["from"] != (life.steps[-1][1] if life.steps else None):
        raise ValueError("it goes on from another state")
    life.steps.append((seq, S(told["to"])))


def _seen(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    """Perhaps again: what it was before says nothing of what is on the recorder now."""
    columns |= {"key": None, "sha256": None, "partial": 0}


def _stored(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    """Without a digest where a target had lost it: then it is what it was."""
    if "sha256" in told:
        columns["sha256"] = bytes.fromhex(told["sha256"])
        columns["stored_at"] = at
        columns |= {name: told[name] for name in ("key", "partial") if name in told}


def _grown(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    columns |= {name: int(told[name]) for name in ("size", "mtime_ns") if name in told}


def _important(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    if told["important"]:
        columns["important"] = 1


def _asked_for(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    columns["urgency"] = 2


def _merged(columns: dict[str, Any], told: Mapping[str, Any], at: float) -> None:
    columns["merged_into"] = int(told["into"])


_Tell = Callable[[dict[str, Any], Mapping[str, Any], float], None]
#: What an event of this kind says of a clip beyond its state.
_TELLS: Mapping[str, _Tell] = {
    "seen": _seen,
    "stored": _stored,
    "rebuilt": _stored,
    "grown": _grown,
    "important": _important,
    "named": _important,
    "upload-now": _asked_for,
    "merged": _merged,
}


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
