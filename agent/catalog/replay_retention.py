"""Labels, cases, holds and rules of a lost catalog, made anew from its events. See `agent.catalog.replay`."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import labels, meta
from agent.catalog.events import Event

Body = Mapping[str, Any]


def _labelled(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    labels.keep(tx, int(event.clip or 0), {**labels.of(tx, int(event.clip or 0)), **body["set"]}, event.seq)


def _case(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    labels.keep_case(tx, body["case"], event.kind == "case-closed", event.seq)


def _held(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    said = (body["scope"], body["value"], body["since"], body["until"])
    tx.execute("INSERT INTO holds VALUES (?, ?, ?, ?, ?, NULL)", (event.seq, *said))


def _lifted(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute("UPDATE holds SET lifted = ? WHERE id = ?", (event.seq, body["hold"]))
    return done.rowcount == 1


def _rules(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    state = event.kind.removeprefix("rules-")
    if "rules" in body:
        row = (event.seq, json.dumps(body["rules"]), state, event.seq)
        return tx.execute("INSERT INTO rulesets VALUES (?, ?, ?, ?)", row).rowcount == 1
    change = (state, event.seq, body["ruleset"])
    return tx.execute("UPDATE rulesets SET state = ?, event = ? WHERE id = ?", change).rowcount == 1


def _two_persons(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    meta.put(tx, "two-persons", json.dumps(body["required"]))


def _agreed(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    meta.put(tx, f"asked:{body['asked']}", "1")


def _clock(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    meta.put(tx, "clock-jumped", "1" if event.kind == "clock-jumped" else "")


REPLAYS = {
    "labelled": _labelled,
    "case-closed": _case,
    "case-opened": _case,
    "held": _held,
    "hold-lifted": _lifted,
    **{f"rules-{state}": _rules for state in ("in-force", "waiting", "over")},
    "two-persons": _two_persons,
    "agreed": _agreed,
    **{f"clock-{what}": _clock for what in ("jumped", "returned", "confirmed")},
}
