"""Which retention rules are in force, and which wait: an event with every change.

Functions that take `tx` run inside `Catalog.write`.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.catalog import door, lengthened

WAITING, IN_FORCE, OVER = "waiting", "in-force", "over"


@dataclass(frozen=True, slots=True)
class RuleRow:
    id: int
    rules: list[dict[str, Any]]
    state: str
    at: float  # of the last change, seconds since the epoch


def standing(db: sqlite3.Connection) -> list[RuleRow]:
    """Those that are not over, the oldest first: the one in force, then all that wait. Only the last of these
    can come into force, which ends all others; until then each protects."""
    rows = db.execute(
        "SELECT r.id, rules, state, at FROM rulesets r JOIN events ON seq = r.event WHERE state <> 'over'"
        " ORDER BY r.id"
    ).fetchall()
    return [RuleRow(number, json.loads(rules), state, at) for number, rules, state, at in rows]


def begin(tx: sqlite3.Connection, rules: list[dict[str, Any]], state: str, facts: Mapping[str, Any]) -> int:
    seq = door.note(tx, f"rules-{state}", None, {"rules": rules, **facts})
    tx.execute("INSERT INTO rulesets VALUES (?, ?, ?, ?)", (seq, json.dumps(rules), state, seq))
    lengthened.note(tx, seq)  # rules that wait protect, too
    return seq


def change(tx: sqlite3.Connection, ruleset: int, state: str, facts: Mapping[str, Any]) -> int:
    seq = door.note(tx, f"rules-{state}", None, {"ruleset": ruleset, **facts})
    tx.execute("UPDATE rulesets SET state = ?, event = ? WHERE id = ?", (state, seq, ruleset))
    return seq
