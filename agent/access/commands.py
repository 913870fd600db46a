"""What people may have done about accounts and tokens. Arguments are texts, as the narrow door takes them."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from agent.access import names, passwords, tokens
from agent.access.roles import OF_UNITS, Role
from agent.catalog import Catalog, accounts
from agent.catalog.accounts import Account, Token
from agent.config.roster import spelt
from agent.errors import Reject

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
ALL = "all"  # units
MOST_UNITS = 50
_LONGEST = 64  # characters of a unit or number, as in the roster


class Commands:
    def __init__(self, catalog: Catalog, now: Callable[[], float] = time.time) -> None:
        self._catalog, self._now = catalog, now

    def all(self) -> dict[str, Command]:
        return {
            "account-set": self.set_account,
            "account-password": self.set_password,
            "account-remove": self.remove_account,
            "account-list": self.list_accounts,
            "token-make": self.make_token,
            "token-revoke": self.revoke_token,
            "token-list": self.list_tokens,
        }

    def set_account(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`name`, `role`; of custodians and reviewers `units`, a JSON list, or `all`; of officers `officer`,
        the number. Ends the account's sessions, keeps its password."""
        account = _account(arguments)
        event = self._catalog.write(lambda tx: accounts.put(tx, account, {"who": who}))
        kept = accounts.one(self._catalog.read(), account.name)
        return {"account": account.name, "event": event, "password": bool(kept and kept.password)}

    def set_password(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`name`, `password`. Ends the account's sessions."""
        name = names.of(arguments.get("name", ""))
        if accounts.one(self._catalog.read(), name) is None:
            raise Reject("no-such-account", account=name)
        hashed = passwords.hashed(passwords.check(arguments.get("password", ""), name))
        event = self._catalog.write(lambda tx: accounts.set_password(tx, name, hashed, {"who": who}))
        return {"account": name, "event": event}

    def remove_account(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        name = names.of(arguments.get("name", ""))
        event = self._catalog.write(lambda tx: accounts.remove(tx, name, {"who": who}))
        return {"account": name, "event": event}

    def list_accounts(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        return {"accounts": [_told(account) for account in accounts.every(self._catalog.read())]}

    def make_token(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`name`; `expires`: the last day on which it works, or nothing. `secret` is told here alone."""
        name, expires = names.of(arguments.get("name", "")), self._end(arguments.get("expires", ""))
        secret = tokens.make()
        hashed = tokens.digest(secret) or b""
        event = self._catalog.write(lambda tx: accounts.make_token(tx, name, hashed, expires, {"who": who}))
        return {"token": name, "secret": secret, "expires": expires, "event": event}

    def revoke_token(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        name = names.of(arguments.get("name", ""))
        event = self._catalog.write(lambda tx: accounts.revoke_token(tx, name, {"who": who}))
        return {"token": name, "event": event}

    def list_tokens(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        now = self._now()
        return {"tokens": [_told_token(token, now) for token in accounts.tokens(self._catalog.read())]}

    def _end(self, day: str) -> float | None:
        """The midnight behind that day, local."""
        if not day:
            return None
        try:
            end = datetime.combine(
                date.fromisoformat(day) + timedelta(days=1), datetime.min.time()
            ).timestamp()
        except (ValueError, OverflowError, OSError):
            raise Reject("bad-parameter", name="expires", expected="a day such as 2027-12-31") from None
        if end <= self._now():
            raise Reject("bad-parameter", name="expires", expected="a day that is not over")
        return end


def _account(arguments: Mapping[str, str]) -> Account:
    name = names.of(arguments.get("name", ""))
    try:
        role = Role(arguments.get("role", ""))
    except ValueError:
        raise Reject("bad-parameter", name="role", expected=", ".join(Role)) from None
    return Account(name, role, _units(arguments.get("units", ""), role), _officer(arguments, role))


def _units(text: str, role: Role) -> tuple[str, ...]:
    """Nobody is bound to nothing by an oversight: `all` has to be said."""
    if role not in OF_UNITS:
        if text:
            raise Reject(
                "bad-parameter", name="units", expected=f"units only of {', '.join(sorted(OF_UNITS))}"
            )
        return ()
    if text == ALL:
        return ()
    try:
        units = json.loads(text)
    except (ValueError, RecursionError):
        units = None
    if not isinstance(units, list) or not 0 < len(units) <= MOST_UNITS:
        raise Reject("bad-parameter", name="units", expected=f"1–{MOST_UNITS} units, or {ALL}")
    return tuple(sorted({_cell(unit, "units") for unit in units}))


def _officer(arguments: Mapping[str, str], role: Role) -> str:
    number = arguments.get("officer", "")
    if role is Role.OFFICER:
        return spelt(_cell(number, "officer"))
    if number:
        raise Reject("bad-parameter", name="officer", expected=f"a number only of an {Role.OFFICER}")
    return ""


def _cell(text: object, name: str) -> str:
    """As a cell of the roster."""
    cell = text.strip() if isinstance(text, str) else ""
    if not 0 < len(cell) <= _LONGEST or not cell.isprintable():
        raise Reject("bad-parameter", name=name, expected=f"1–{_LONGEST} characters on one line")
    return cell


def _told(account: Account) -> dict[str, Any]:
    return {
        "account": account.name,
        "role": account.role,
        "units": list(account.units) or (ALL if account.role in OF_UNITS else []),
        "officer": account.officer,
        "password": account.password is not None,
    }


def _told_token(token: Token, now: float) -> dict[str, Any]:
    state = (
        "lost"
        if token.hash is None
        else "valid"
        if token.expires is None or token.expires > now
        else "expired"
    )
    return {"token": token.name, "expires": token.expires, "used": token.used or None, "state": state}
