"""What lets clips go earlier takes two named persons, where `retention.two_persons` says so.

The first asks, the second agrees: under another name, and as another user of this machine. Both are entries:

    asked       what, of, name, reason, who        agreed   asked, name, who
"""

import json
import sqlite3
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agent.catalog import door, meta
from agent.errors import Reject

VALID = 7 * 86400.0  # seconds from the ask on
_SLACK = 86400.0  # a clock that is only being set is not a wrong one


class Texts(Protocol):
    """What people write, kept beside the log. `keep` raises OSError."""

    def keep(self, text: str) -> str: ...
    def read(self, digest: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """`what`: the action; `of`: on what. `name`, `reason`: digests."""

    seq: int
    what: str
    of: Mapping[str, Any]
    name: str
    reason: str
    who: str


def ask(tx: sqlite3.Connection, what: str, of: Mapping[str, Any], name: str, reason: str, who: str) -> int:
    return door.note(tx, "asked", None, {"what": what, "of": of, "name": name, "reason": reason, "who": who})


def asked(db: sqlite3.Connection, seq: int) -> Ask:
    """Raises Reject `not-asked`, `ask-over`."""
    row = db.execute("SELECT body, at FROM events WHERE seq = ? AND kind = 'asked'", (seq,)).fetchone()
    if row is None:
        raise Reject("not-asked", asked=seq)
    if meta.get(db, _key(seq)) or not -_SLACK <= door.stamp().wall - float(row[1]) <= VALID:
        raise Reject("ask-over", asked=seq)
    body = json.loads(row[0])
    return Ask(seq, body["what"], body["of"], body["name"], body["reason"], body["who"])


def second(texts: Texts, one: Ask, name: str, who: str) -> None:
    """Raises Reject unless `name`, who is `who`, is another person than who asked."""
    first = texts.read(one.name)
    if one.who == who:
        raise Reject("ask-same-user", asked=one.seq)
    if first is None or _alike(first) == _alike(name):
        raise Reject("ask-same-name", asked=one.seq)


def agree(tx: sqlite3.Connection, one: Ask, name: str, who: str) -> int:
    """An ask is good for one time."""
    asked(tx, one.seq)
    meta.put(tx, _key(one.seq), "1")
    return door.note(tx, "agreed", None, {"asked": one.seq, "name": name, "who": who})


def _alike(name: str) -> str:
    """What two spellings of one name have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _key(seq: int) -> str:
    return f"asked:{seq}"
