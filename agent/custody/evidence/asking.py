"""An export is asked for first: who wants what, and why, is in the log before a byte is copied.

Where `export.approval` says so, a second person approves: under another name, and as another user of this
machine. An ask is good for one package, for a week.

    export-asked       clips, case, name, reason, who
    export-approved    asked, name, who          export-refused   the same, of one who does not
    export-not-approved    asked, reason, who    the station did not take an approval
    exported           asked, approved, …        see `agent.custody.evidence.exported`
"""

import json
import sqlite3
import unicodedata
from dataclasses import dataclass

from agent.catalog import door
from agent.clock import stamp
from agent.custody.log import configured
from agent.custody.texts import Texts
from agent.errors import Reject

VALID = 7 * 86400.0  # seconds from the ask to its approval, and from there to the package
#: What became of an ask, by its own events: looking through those since then costs what happened in a week.
_CAME = (
    "SELECT kind, seq, at FROM events WHERE seq > ? AND json_extract(body, '$.asked') = ?"
    " AND kind IN ('export-approved', 'export-refused', 'exported') ORDER BY seq"
)
_SLACK = 86400.0  # a clock that is only being set is not a wrong one


@dataclass(frozen=True, slots=True)
class Ask:
    """`name`, `reason`: digests of texts. `approved`, `refused`, `exported`: the events, 0 while there is
    none. `since`: when the last word was said that a package needs, in seconds since the epoch."""

    seq: int
    clips: tuple[int, ...]
    case: str
    name: str
    reason: str
    who: str
    since: float
    approved: int = 0
    refused: int = 0
    exported: int = 0

    @property
    def events(self) -> list[int]:
        """That it was asked for, and that somebody approved."""
        return [self.seq, *([self.approved] if self.approved else [])]


def make(tx: sqlite3.Connection, clips: list[int], case: str, name: str, reason: str, who: str) -> int:
    facts = {"clips": clips, "case": case, "name": name, "reason": reason, "who": who}
    return door.note(tx, "export-asked", None, facts)


def of(db: sqlite3.Connection, seq: int) -> Ask:
    """Raises Reject `export-not-asked`."""
    row = db.execute("SELECT body, at FROM events WHERE seq = ? AND kind = 'export-asked'", (seq,)).fetchone()
    if row is None:
        raise Reject("export-not-asked", asked=seq)
    body, since = json.loads(row[0]), float(row[1])
    came = dict[str, int]()
    for kind, number, at in db.execute(_CAME, (seq, seq)):
        came[kind] = number
        since = float(at) if kind == "export-approved" else since
    case, name, reason, who = (str(body[key]) for key in ("case", "name", "reason", "who"))
    events = (came.get(key, 0) for key in ("export-approved", "export-refused", "exported"))
    return Ask(seq, tuple(body["clips"]), case, name, reason, who, since, *events)


def approver(db: sqlite3.Connection, ask: Ask) -> str:
    """The digest of the name of who approved; "" when nobody did."""
    row = db.execute("SELECT body FROM events WHERE seq = ?", (ask.approved,)).fetchone()
    return str(json.loads(row[0])["name"]) if row else ""


def ready(db: sqlite3.Connection, ask: Ask, who: str) -> None:
    """Raises Reject for what keeps `who` from making a package of it now."""
    _open(ask)
    if ask.who != who:
        raise Reject("export-anothers", asked=ask.seq)
    if not ask.approved and configured.approval_required(db):
        raise Reject("export-needs-approval", asked=ask.seq)


def decide(tx: sqlite3.Connection, ask: Ask, name: str, who: str, *, approved: bool) -> int:
    """The event. `name`: the digest of who says so."""
    kind = "export-approved" if approved else "export-refused"
    return door.note(tx, kind, None, {"asked": ask.seq, "name": name, "who": who})


def decidable(ask: Ask, texts: Texts, name: str, who: str) -> None:
    """Raises Reject unless `name`, who is `who`, is a second person who may decide now."""
    _open(ask)
    if ask.approved:
        raise Reject("export-decided", asked=ask.seq, event=ask.approved)
    if ask.who == who:
        raise Reject("export-same-user", asked=ask.seq)
    asker = texts.read(ask.name)
    if asker is None:
        raise Reject("export-asker-erased", asked=ask.seq)
    if _alike(asker) == _alike(name):
        raise Reject("export-same-name", asked=ask.seq)


def _open(ask: Ask) -> None:
    if ask.refused:
        raise Reject("export-refused", asked=ask.seq, event=ask.refused)
    if ask.exported:
        raise Reject("export-used", asked=ask.seq, event=ask.exported)
    if not -_SLACK <= stamp().wall - ask.since <= VALID:
        raise Reject("export-too-late", asked=ask.seq, within=VALID)


def _alike(name: str) -> str:
    """What two spellings of one name have in common."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
