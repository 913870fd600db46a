"""The front of the room: from what somebody shows to who it is.

Who comes in, who goes, and who guessed too often are events. What is in force stands in the catalog: a
session whose account was changed since is over, whoever changed it.
"""

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from agent.access import names, passwords, tokens
from agent.access.commands import Command, Commands
from agent.access.lockout import Lockout, place
from agent.access.roles import RIGHTS, Caller, Role, machine
from agent.access.sessions import Sessions
from agent.catalog import Catalog, accounts, door
from agent.catalog.accounts import Account
from agent.errors import CatalogError, Reject

log = logging.getLogger(__name__)

#: Logins at once: one that is hashed and one in line. More would hold up every thread that answers.
_IN_LINE = 2


class Access:
    """From any thread. `clock`: seconds since any moment, never set by anybody."""

    def __init__(self, catalog: Catalog, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._lockout, self._sessions = Lockout(clock), Sessions(clock)
        self._line, self._one = threading.BoundedSemaphore(_IN_LINE), threading.Lock()

    def login(self, name: str, password: str, address: str) -> tuple[str, Caller]:
        """A session's secret, and who it is. Raises Reject `login-failed`, `locked-out` (minutes) or
        `login-busy`, none of which tells whether there is such an account; CatalogError."""
        if not self._line.acquire(blocking=False):
            raise Reject("login-busy")
        try:
            with self._one:  # tries at the same time are looked at one behind the other, and each is counted
                account = self._known(name, password, address)
        finally:
            self._line.release()
        caller = _caller(account)
        self._note("logged-in", caller.name)
        return self._sessions.begin(caller, account.event), caller

    def session(self, secret: str, *, polling: bool = False) -> Caller | None:
        """`polling`: a page asks by itself, which keeps no session alive. None: there is none (any more)."""
        session = self._sessions.of(secret, polling=polling)
        if session is None:
            return None
        account = accounts.one(self._catalog.read(), session.caller.name)
        if account is None or account.event != session.event:
            self._sessions.end(secret)
            return None
        return session.caller

    def logout(self, secret: str) -> None:
        session = self._sessions.end(secret)
        if session is not None:
            self._note("logged-out", session.caller.name)

    def token(self, secret: str) -> Caller | None:
        """None: it is none, is revoked, or its time is over."""
        hashed = tokens.digest(secret)
        token = accounts.token_of(self._catalog.read(), hashed) if hashed else None
        if token is None or _is_over(token.expires, self._now()):
            return None
        today = date.today().isoformat()
        if token.used != today:
            self._used(token.id, today)
        return machine(token.name)

    def commands(self) -> Mapping[str, Command]:
        """For the narrow door, and for who may `manage-access`."""
        return Commands(self._catalog, self._now).all()

    def _known(self, name: str, password: str, address: str) -> Account:
        spelt = names.spelt(name)
        key = spelt or name
        if left := self._lockout.left(key, address):
            raise Reject("locked-out", minutes=math.ceil(left / 60))
        account = accounts.one(self._catalog.read(), spelt)
        if passwords.fits(password, account.password if account else None) and account:
            self._lockout.right(key)
            return account
        raise self._wrong(key, address, account)

    def _wrong(self, key: str, address: str, account: Account | None) -> Reject:
        of_name, of_address = self._lockout.wrong(key, address)
        if of_name:  # also for a name that nobody has: whether it took a commit can be told from outside
            self._note("locked-out", account.name if account else "")
        if of_address:
            self._note("locked-out", "", address=place(address))
        left = self._lockout.left(key, address)
        return Reject("locked-out", minutes=math.ceil(left / 60)) if left else Reject("login-failed")

    def _note(self, kind: str, account: str, **facts: Any) -> None:
        self._catalog.write(lambda tx: door.note(tx, kind, None, {"account": account, **facts}))

    def _used(self, token: int, today: str) -> None:
        try:
            self._catalog.write(lambda tx: accounts.token_used(tx, token, today))
        except (
            CatalogError,
            sqlite3.OperationalError,
        ) as error:  # when nothing can be written, machines have to be told so
            log.warning("not noted that a token was used: %s", error)

    def _now(self) -> float:
        """For the end of a token: a clock that went back gives it no second life."""
        return max(time.time(), accounts.last_trusted(self._catalog.read()))


def _caller(account: Account) -> Caller:
    role = Role(account.role)
    return Caller(account.name, role, RIGHTS[role], frozenset(account.units), account.officer)


def _is_over(expires: float | None, now: float) -> bool:
    return expires is not None and expires <= now
