"""Who may log in, and which machines may ask: an event with every change.

Events tell names, roles and units, never what is secret or its hash. Functions that take `tx` run inside
`Catalog.write`; `facts` tell who did it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.catalog import door
from agent.errors import Reject

_ACCOUNT = "SELECT name, role, units, officer, password, event FROM accounts WHERE removed = 0"
_TOKEN = "SELECT id, name, hash, expires, used FROM tokens WHERE revoked IS NULL"


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    role: str
    units: tuple[str, ...] = ()  # empty: not bound to units
    officer: str = ""  # the number of the officer whose account it is
    password: str | None = field(default=None, repr=False)  # its hash; None: nobody can log in
    event: int = 0  # of the last change


@dataclass(frozen=True, slots=True)
class Token:
    """One that is not revoked."""

    id: int
    name: str
    hash: bytes | None = field(repr=False)  # None: lost with a catalog, to be made anew
    expires: float | None  # seconds since the epoch
    used: str  # the last day, ISO 8601, local; "": never


def one(db: sqlite3.Connection, name: str) -> Account | None:
    row = db.execute(f"{_ACCOUNT} AND name = ?", (name,)).fetchone()
    return _account(row) if row else None


def every(db: sqlite3.Connection) -> list[Account]:
    return [_account(row) for row in db.execute(f"{_ACCOUNT} ORDER BY name").fetchall()]


def put(tx: sqlite3.Connection, account: Account, facts: Mapping[str, Any]) -> int:
    """A new one, without a password, or another role, units and officer of one that is there, which keeps its
    password."""
    said = {"role": account.role, "units": list(account.units), "officer": account.officer}
    event = door.note(tx, "account-set", None, {"account": account.name, **said, **facts})
    keep(tx, account.name, said, event)
    return event


def keep(tx: sqlite3.Connection, name: str, said: Mapping[str, Any], event: int) -> None:
    """The row alone; its event is there."""
    row = (said["role"], json.dumps(said["units"], ensure_ascii=False), said["officer"], event, name)
    done = tx.execute(
        "UPDATE accounts SET role = ?, units = ?, officer = ?, event = ?, removed = 0 WHERE name = ?", row
    )
    if done.rowcount == 0:
        tx.execute("INSERT INTO accounts (role, units, officer, event, name) VALUES (?, ?, ?, ?, ?)", row)


def set_password(tx: sqlite3.Connection, name: str, hashed: str, facts: Mapping[str, Any]) -> int:
    """Raises Reject `no-such-account`."""
    _known(tx, name)
    event = door.note(tx, "account-password", None, {"account": name, **facts})
    tx.execute("UPDATE accounts SET password = ?, event = ? WHERE name = ?", (hashed, event, name))
    return event


def remove(tx: sqlite3.Connection, name: str, facts: Mapping[str, Any]) -> int:
    """Raises Reject `no-such-account`."""
    _known(tx, name)
    event = door.note(tx, "account-removed", None, {"account": name, **facts})
    tx.execute("UPDATE accounts SET removed = 1, password = NULL, event = ? WHERE name = ?", (event, name))
    return event


def tokens(db: sqlite3.Connection) -> list[Token]:
    return [Token(*row) for row in db.execute(f"{_TOKEN} ORDER BY name").fetchall()]


def token_of(db: sqlite3.Connection, hashed: bytes) -> Token | None:
    row = db.execute(f"{_TOKEN} AND hash = ?", (hashed,)).fetchone()
    return Token(*row) if row else None


def make_token(
    tx: sqlite3.Connection, name: str, hashed: bytes, expires: float | None, facts: Mapping[str, Any]
) -> int:
    """Raises Reject `token-exists`."""
    if _token_named(tx, name):
        raise Reject("token-exists", token=name)
    event = door.note(tx, "token-made", None, {"token": name, "expires": expires, **facts})
    tx.execute(
        "INSERT INTO tokens (id, name, hash, expires) VALUES (?, ?, ?, ?)", (event, name, hashed, expires)
    )
    return event


def revoke_token(tx: sqlite3.Connection, name: str, facts: Mapping[str, Any]) -> int:
    """Raises Reject `no-such-token`."""
    made = _token_named(tx, name)
    if made is None:
        raise Reject("no-such-token", token=name)
    event = door.note(tx, "token-revoked", None, {"token": name, "made": made, **facts})
    tx.execute("UPDATE tokens SET hash = NULL, revoked = ? WHERE id = ?", (event, made))
    return event


def token_used(tx: sqlite3.Connection, token: int, day: str) -> None:
    """No event: a machine asks every few seconds."""
    tx.execute("UPDATE tokens SET used = ? WHERE id = ? AND revoked IS NULL", (day, token))


def last_trusted(db: sqlite3.Connection) -> float:
    """When the last event under a trusted clock was, seconds since the epoch; 0 when there is none. It is not
    earlier than that now, whatever the clock says."""
    row = db.execute(
        "SELECT at FROM events INDEXED BY events_trusted WHERE clock_trusted = 1 ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return float(row[0]) if row else 0.0


def _known(db: sqlite3.Connection, name: str) -> None:
    if one(db, name) is None:
        raise Reject("no-such-account", account=name)


def _token_named(db: sqlite3.Connection, name: str) -> int | None:
    row = db.execute("SELECT id FROM tokens WHERE name = ? AND revoked IS NULL", (name,)).fetchone()
    return int(row[0]) if row else None


def _account(row: Iterable[Any]) -> Account:
    name, role, units, officer, password, event = row
    return Account(name, role, tuple(json.loads(units)), officer, password, event)
