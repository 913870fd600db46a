"""Accounts and tokens of a lost catalog, made anew from its events. See `agent.catalog.replay`.

No event tells what is secret: nobody logs in before the password is set again, and no token works.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import accounts
from agent.catalog.events import Event

Body = Mapping[str, Any]


def _set(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    accounts.keep(tx, body["account"], body, event.seq)


def _password(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute("UPDATE accounts SET event = ? WHERE name = ?", (event.seq, body["account"]))
    return done.rowcount == 1


def _removed(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    change = (event.seq, body["account"])
    return tx.execute("UPDATE accounts SET removed = 1, event = ? WHERE name = ?", change).rowcount == 1


def _made(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    row = (event.seq, body["token"], body["expires"])
    tx.execute("INSERT INTO tokens (id, name, expires) VALUES (?, ?, ?)", row)


def _revoked(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute("UPDATE tokens SET revoked = ? WHERE id = ?", (event.seq, body["made"]))
    return done.rowcount == 1


REPLAYS = {
    "account-set": _set,
    "account-password": _password,
    "account-removed": _removed,
    "token-made": _made,
    "token-revoked": _revoked,
}
