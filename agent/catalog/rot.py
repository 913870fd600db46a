"""Copies in the store that are not what was stored there, until they are whole again.

What no target vouches for is quarantined: nobody sends it, and its recorder is read again. What all of them
confirmed stays that, is marked, and they are asked to show that they have it.
Functions that take `tx` run inside `Catalog.write`.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection
from typing import NamedTuple

from agent.catalog import deliveries, door, events, reconfirm
from agent.errors import WrongState
from agent.model import PENDING_UPLOAD, ClipState, Problem

S = ClipState
#: Whose file should be in the store.
HERE = PENDING_UPLOAD | {S.CONFIRMED, S.REJECTED}
#: Not those that did not become whole while they were copied: their slot knows that.
_LOST = (
    "SELECT DISTINCT c.recorder FROM events e CROSS JOIN clips c ON c.id = e.clip"
    " WHERE e.seq > ? AND e.seq <= ? AND e.kind = 'quarantined'"
    " AND json_extract(e.body, '$.from') <> 'copying'"
)
_log = logging.getLogger(__name__)


class Mark(NamedTuple):
    clip: int
    state: ClipState
    sent: bool  # a target took all of its bytes, so they may be had from there

    @property
    def hopeless(self) -> bool:
        """Only its recorder can help, or its disk that comes to itself."""
        return self.state is S.QUARANTINED and not self.sent


class Lost:
    """Recorders of which a copy was quarantined that had been stored: who stands here must be read again."""

    def __init__(self, read: Callable[[], sqlite3.Connection]) -> None:
        self._read = read
        self._until = events.last(read())

    def __call__(self) -> Collection[str]:
        """Since the last question. Of one that could not be answered the next one tells."""
        try:
            until = events.last(self._read())
            rows = self._read().execute(_LOST, (self._until, until)).fetchall()
        except sqlite3.Error as error:
            _log.error("whether a copy was found rotten cannot be told: %s", error)
            return ()
        self._until = until
        return [str(row[0]) for row in rows]


def found(tx: sqlite3.Connection, clip: int, problem: Problem) -> ClipState:
    """The copy of this clip is rotten; the state in which the clip is now. Raises WrongState when no copy
    should be here."""
    state = _state(tx, clip)
    if state not in HERE:
        raise WrongState(clip=clip, old=str(state), new=str(S.QUARANTINED))
    if not known(tx, clip):
        facts = {"reason": problem.key, "params": dict(problem.params)}
        tx.execute("INSERT INTO rotten VALUES (?, ?)", (clip, door.note(tx, "rotten", clip, facts)))
    if state is S.CONFIRMED:
        reconfirm.soon(tx, [clip], prove=True)
        return state
    deliveries.quarantined(tx, clip, problem)
    return S.QUARANTINED


def healed(tx: sqlite3.Connection, clip: int, source: str) -> bool:
    """The copy is whole again, by the bytes of `source`: a target, or "here" when it was found like that.
    False when that is nobody's concern any more."""
    if not known(tx, clip):
        return False
    forget(tx, clip)
    state = _state(tx, clip)
    if state not in HERE | {S.QUARANTINED} or taken(tx, clip):
        return False
    if state is S.QUARANTINED:
        door.change(tx, clip, state, S.STORED, reason="healed")
        reconfirm.back(tx, clip)
    door.note(tx, "healed", clip, {"source": source})
    return True


def again(tx: sqlite3.Connection, clip: int) -> None:
    """Nobody gave its bytes: whoever confirmed it is asked to show that it has them."""
    reconfirm.soon(tx, [clip], prove=True)


def to_heal(db: sqlite3.Connection, clip: int) -> bool:
    """Whether its copy should be here, and is known not to be whole."""
    return known(db, clip) and _state(db, clip) in HERE | {S.QUARANTINED} and not taken(db, clip)


def leave(tx: sqlite3.Connection, clip: int) -> None:
    """When there is nothing to heal any more."""
    if not to_heal(tx, clip):
        forget(tx, clip)


def taken(db: sqlite3.Connection, clip: int) -> bool:
    """Whether another clip has the content, and so the name in the store, of one that was quarantined."""
    row = db.execute(
        "SELECT 1 FROM clips c JOIN clips o ON o.recorder = c.recorder AND o.id <> c.id AND (o.key = c.key OR"
        " (o.sha256 = c.sha256 AND o.size > 0 AND o.partial = 0))"
        " WHERE c.id = ? AND o.own = 1",
        (clip,),
    ).fetchone()
    return row is not None


def forget(tx: sqlite3.Connection, clip: int) -> None:
    """It is not asked for any more whether its copy is whole."""
    tx.execute("DELETE FROM rotten WHERE clip = ?", (clip,))


def known(db: sqlite3.Connection, clip: int) -> bool:
    return db.execute("SELECT 1 FROM rotten WHERE clip = ?", (clip,)).fetchone() is not None


def marks(db: sqlite3.Connection, most: int = 1000) -> list[Mark]:
    rows = db.execute(
        "SELECT r.clip, c.state, EXISTS (SELECT 1 FROM deliveries d WHERE d.clip = r.clip"
        " AND d.state IN ('sent', 'confirmed')) FROM rotten r CROSS JOIN clips c ON c.id = r.clip"
        " ORDER BY 3 DESC, r.clip LIMIT ?",
        (most,),
    ).fetchall()
    return [Mark(int(clip), S(state), bool(sent)) for clip, state, sent in rows]


def waiting(db: sqlite3.Connection) -> int:
    """How many are rotten here and confirmed: those that are quarantined are counted as such."""
    row = db.execute(
        "SELECT count(*) FROM rotten r CROSS JOIN clips c ON c.id = r.clip WHERE c.state <> 'quarantined'"
    ).fetchone()
    return int(row[0])


def _state(db: sqlite3.Connection, clip: int) -> ClipState:
    return S(db.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])
