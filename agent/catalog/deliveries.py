"""What upload commits: how far each clip is on its way to each target.

A clip's state follows from its deliveries to the configured targets (`_goal`), and is moved there in
the transaction that changes a delivery. Every function that takes `tx` runs inside `Catalog.write` and
raises WrongState when the clip or the delivery is not where the caller believes it to be.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.catalog import door
from agent.catalog.documents import stored_clip
from agent.errors import Retry, WrongState
from agent.model import PENDING_UPLOAD, ClipState, DeliveryState, Problem, Receipt, StoredClip

S, D = ClipState, DeliveryState
Targets = Collection[str]  # the names of all configured targets

# The literal list lets SQLite use the partial index of the same condition: the question costs the same
# whether a thousand or a million clips are confirmed.
_PENDING = "state IN ('stored', 'uploading', 'uploaded')"
_DUE = (
    f"SELECT id FROM clips INDEXED BY clips_to_upload WHERE {_PENDING} AND NOT EXISTS"
    " (SELECT 1 FROM deliveries d WHERE d.clip = clips.id AND d.target = ?"
    " AND d.state IN ('confirmed', 'rejected')) ORDER BY important DESC, seen_at, id"
)
#: The next step from a state towards a goal.
_TOWARDS: Mapping[ClipState, Mapping[ClipState, ClipState]] = {
    S.UPLOADING: {S.STORED: S.UPLOADING, S.UPLOADED: S.UPLOADING},
    S.UPLOADED: {S.STORED: S.UPLOADING, S.UPLOADING: S.UPLOADED},
    S.CONFIRMED: {S.STORED: S.UPLOADING, S.UPLOADING: S.UPLOADED, S.UPLOADED: S.CONFIRMED},
    S.REJECTED: {S.STORED: S.UPLOADING, S.UPLOADED: S.UPLOADING, S.UPLOADING: S.REJECTED},
}


class ReceiptDiffers(Retry):
    """The target has something else than what the catalog describes. It is not confirmed."""

    key = "receipt-differs"


@dataclass(frozen=True, slots=True)
class Delivery:
    clip: StoredClip
    state: DeliveryState | None  # None: not begun
    token: str  # empty: begin (again)


def next_due(db: sqlite3.Connection, target: str, skip: Callable[[int], bool]) -> int | None:
    """The clip that `target` should get next: important first, then the one that was seen first."""
    cursor = db.execute(_DUE, (target,))
    try:
        return next((int(row[0]) for row in cursor if not skip(int(row[0]))), None)
    finally:
        cursor.close()  # an open cursor would keep the log of the database from being folded in


def load(db: sqlite3.Connection, clip: int, target: str) -> Delivery | None:
    """None when the clip is not, or no longer, to be uploaded."""
    row = db.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()
    if row is None or row[0] not in PENDING_UPLOAD:
        return None
    state, token = _delivery(db, clip, target)
    return Delivery(stored_clip(db, clip), state, token)


def token(db: sqlite3.Connection, clip: int, target: str) -> str:
    """Under which a transfer to `target` can be found; empty when there is none."""
    return _delivery(db, clip, target)[1]


def queue(db: sqlite3.Connection) -> tuple[int, int]:
    """(clips, bytes) that are stored here and not confirmed by every target."""
    row = db.execute(
        f"SELECT coalesce(sum(clips), 0), coalesce(sum(bytes), 0) FROM clip_counts WHERE {_PENDING}"
    ).fetchone()
    return int(row[0]), int(row[1])


def ever_used(db: sqlite3.Connection, target: str) -> bool:
    """Whether this station has delivered, or begun to deliver, anything to `target`."""
    return db.execute("SELECT 1 FROM deliveries WHERE target = ? LIMIT 1", (target,)).fetchone() is not None


def begin(tx: sqlite3.Connection, clip: int, target: str, token: str, targets: Targets) -> None:
    """Keep the token under which the first byte is about to be sent."""
    if _delivery(tx, clip, target)[0] is D.CONFIRMED:
        raise WrongState(clip=clip, target=target, old=str(D.CONFIRMED), new=str(D.SENDING))
    _put(tx, clip, target, D.SENDING, token)
    _settle(tx, clip, targets, target=target)


def keep_token(tx: sqlite3.Connection, clip: int, target: str, token: str) -> None:
    _move(tx, clip, target, D.SENDING, D.SENDING, token=token)


def sent(tx: sqlite3.Connection, clip: int, target: str, targets: Targets) -> None:
    """The target has taken the last byte and has made an object of it."""
    _move(tx, clip, target, D.SENDING, D.SENT)
    _settle(tx, clip, targets, target=target)


def confirmed(tx: sqlite3.Connection, clip: int, target: str, receipt: Receipt, targets: Targets) -> None:
    """Believe the target, if what it reports is what the catalog itself describes.

    Raises ReceiptDiffers; then nothing is changed."""
    _compare(tx, clip, target, receipt)
    said = asdict(receipt)
    _move(tx, clip, target, D.SENT, D.CONFIRMED, receipt=json.dumps(said), problem=None)
    if not _settle(tx, clip, targets, target=target, receipt=said):
        door.note(tx, "delivered", clip, {"target": target, "receipt": said})


def rejected(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """`target` refuses the clip. The others still get it; then the clip is rejected as a whole."""
    if _delivery(tx, clip, target)[0] is D.CONFIRMED:
        raise WrongState(clip=clip, target=target, old=str(D.CONFIRMED), new=str(D.REJECTED))
    _put(tx, clip, target, D.REJECTED, "")
    failed(tx, clip, target, problem)
    if not _settle(tx, clip, targets, target=target, reason=problem.key):
        door.note(tx, "refused", clip, {"target": target, "reason": problem.key})


def resend(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """The target took everything, and what it has now is not that: send it again, from the start."""
    _move(tx, clip, target, D.SENT, D.SENDING, token="", problem=_as_json(problem))
    facts = {"target": target, "reason": problem.key, "params": dict(problem.params)}
    if not _settle(tx, clip, targets, **facts):
        door.note(tx, "resend", clip, facts)


def failed(tx: sqlite3.Connection, clip: int, target: str, problem: Problem) -> None:
    """Keep why a delivery that was begun does not get on. Writes nothing when that is known already."""
    tx.execute(
        "UPDATE deliveries SET problem = ?, updated = ? WHERE clip = ? AND target = ? AND problem IS NOT ?",
        (_as_json(problem), time.time(), clip, target, _as_json(problem)),
    )


def quarantined(tx: sqlite3.Connection, clip: int, problem: Problem) -> None:
    """The copy in the store is not what was verified there."""
    state = _state(tx, clip)
    if state not in PENDING_UPLOAD:
        raise WrongState(clip=clip, old=str(state), new=str(S.QUARANTINED))
    door.change(tx, clip, state, S.QUARANTINED, reason=problem.key, params=dict(problem.params))


def retry_rejected(tx: sqlite3.Connection, older_than: float, now: float) -> int:
    """Give clips that were refused before `older_than` another chance; return how many.

    A refusal dated in the future was written under a wrong clock and counts as old."""
    clips = tx.execute(
        "SELECT id FROM clips WHERE state = 'rejected' AND NOT EXISTS (SELECT 1 FROM deliveries d"
        " WHERE d.clip = clips.id AND d.state = 'rejected' AND d.updated BETWEEN ? AND ?)",
        (older_than, now),
    ).fetchall()
    for (clip,) in clips:
        tx.execute(
            "UPDATE deliveries SET state = ?, token = '', updated = ? WHERE clip = ? AND state = 'rejected'",
            (D.SENDING, now, clip),
        )
        door.change(tx, clip, S.REJECTED, S.STORED, reason="retry")
    return len(clips)


def settle_all(tx: sqlite3.Connection, targets: Targets) -> int:
    """After a change of the configured targets: move clips that wait for none of these; return how many."""
    if not targets:
        return 0
    marks = ", ".join("?" * len(targets))
    clips = tx.execute(
        f"SELECT id FROM clips INDEXED BY clips_to_upload WHERE {_PENDING} AND ? ="
        f" (SELECT count(*) FROM deliveries d WHERE d.clip = clips.id AND d.target IN ({marks})"
        " AND d.state IN ('confirmed', 'rejected')) ORDER BY important DESC, seen_at, id",
        (len(targets), *targets),
    ).fetchall()
    return sum(_settle(tx, clip, targets, reason="targets-changed") for (clip,) in clips)


def _goal(db: sqlite3.Connection, clip: int, targets: Targets) -> ClipState | None:
    """The state that a clip's deliveries make it have; None while none has begun."""
    rows = db.execute("SELECT target, state FROM deliveries WHERE clip = ?", (clip,))
    by_target = {row[0]: D(row[1]) for row in rows if row[0] in targets}
    states = set(by_target.values())
    if not states:
        return None
    if len(by_target) < len(targets):
        return S.UPLOADING
    if states == {D.CONFIRMED}:
        return S.CONFIRMED
    if states <= {D.SENT, D.CONFIRMED}:
        return S.UPLOADED
    return S.REJECTED if states <= {D.CONFIRMED, D.REJECTED} else S.UPLOADING


def _settle(tx: sqlite3.Connection, clip: int, targets: Targets, **facts: Any) -> bool:
    """Move the clip to the state that its deliveries make it have; True when it moved."""
    goal, before = _goal(tx, clip, targets), _state(tx, clip)
    if before not in PENDING_UPLOAD:
        raise WrongState(clip=clip, old=str(before), new=str(goal))
    state = before
    while goal is not None and state is not goal:
        step = _TOWARDS[goal][state]
        door.change(tx, clip, state, step, **facts)
        state = step
    return state is not before


def _compare(tx: sqlite3.Connection, clip: int, target: str, receipt: Receipt) -> None:
    size, sha256 = tx.execute("SELECT size, lower(hex(sha256)) FROM clips WHERE id = ?", (clip,)).fetchone()
    if not sha256 or (receipt.size, receipt.sha256) != (size, sha256):
        raise ReceiptDiffers(target=target, size=receipt.size, expected=size, sha256=receipt.sha256)


def _state(db: sqlite3.Connection, clip: int) -> ClipState:
    return ClipState(db.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])


def _delivery(db: sqlite3.Connection, clip: int, target: str) -> tuple[DeliveryState | None, str]:
    row = db.execute(
        "SELECT state, token FROM deliveries WHERE clip = ? AND target = ?", (clip, target)
    ).fetchone()
    return (D(row[0]), str(row[1])) if row else (None, "")


def _put(tx: sqlite3.Connection, clip: int, target: str, state: DeliveryState, token: str) -> None:
    tx.execute(
        "INSERT INTO deliveries (clip, target, state, token, updated) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (clip, target) DO UPDATE SET"
        " state = excluded.state, token = excluded.token, updated = excluded.updated",
        (clip, target, state, token, time.time()),
    )


def _move(
    tx: sqlite3.Connection, clip: int, target: str, old: DeliveryState, new: DeliveryState, **columns: Any
) -> None:
    """Raises WrongState when the delivery is not in `old`."""
    columns = {"state": new, "updated": time.time(), **columns}
    places = ", ".join(f"{name} = ?" for name in columns)
    done = tx.execute(
        f"UPDATE deliveries SET {places} WHERE clip = ? AND target = ? AND state = ?",
        (*columns.values(), clip, target, old),
    )
    if done.rowcount != 1:
        raise WrongState(clip=clip, target=target, old=str(old), new=str(new))


def _as_json(problem: Problem) -> str:
    body = {"key": problem.key, "params": dict(problem.params)}
    return json.dumps(body, ensure_ascii=False, default=str)
