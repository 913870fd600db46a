"""What upload commits: how far each clip is on its way to each target.

A clip's state follows from its deliveries to the configured targets (`_goal`), and is moved there in
the transaction that changes a delivery. A target is a name in the configuration; the place behind it may
become another one (another share, another disk), and a delivery counts only for the place it was made to.
Every function that takes `tx` runs inside `Catalog.write` and raises WrongState when the clip or the
delivery is not where the caller believes it to be.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.catalog import door
from agent.catalog.documents import manifest_of, stored_clip
from agent.errors import Reject, Retry, WrongState
from agent.model import PENDING_UPLOAD, ClipState, DeliveryState, Problem, Receipt, StoredClip

S, D = ClipState, DeliveryState
#: Every configured target and the place behind its name; empty while nobody has asked it yet, and then
#: nothing that was delivered to it counts.
Targets = Mapping[str, str]

# The literal list lets SQLite use the partial index of the same condition: the question costs the same
# whether a thousand or a million clips are confirmed.
_PENDING = "state IN ('stored', 'uploading', 'uploaded')"
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


class PlaceChanged(Retry):
    """Another place than the one that the target is bound to has answered. Nothing goes there, and nothing
    is confirmed, until an administrator accepts it."""

    key = "target-changed"


@dataclass(frozen=True, slots=True)
class Delivery:
    clip: StoredClip
    state: DeliveryState | None  # None: not begun
    token: str  # empty: begin (again)
    distrusted: bool = False  # what the target says of its bytes was found to be untrue


def fresh(db: sqlite3.Connection, clip: int, target: str) -> tuple[int, tuple[int, int]] | None:
    """(bytes, rank as of `priority`) of a clip of one part of which nothing is on its way to `target`, nor
    has gone wrong there; None of every other."""
    row = db.execute(
        "SELECT size, urgency, important FROM clips JOIN manifests ON clip = id"
        " WHERE id = ? AND size BETWEEN 1 AND part_size AND NOT EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.clip = id AND d.target = ?)",
        (clip, target),
    ).fetchone()
    return (int(row[0]), (int(row[1]), int(row[2]))) if row else None


def load(db: sqlite3.Connection, clip: int, target: str, place: str) -> Delivery | None:
    """None when the clip is not, or no longer, to be uploaded."""
    row = db.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()
    if row is None or row[0] not in PENDING_UPLOAD:
        return None
    state, token = _delivery(db, clip, target, place)
    row = db.execute(
        "SELECT distrusted FROM deliveries WHERE clip = ? AND target = ?", (clip, target)
    ).fetchone()
    return Delivery(stored_clip(db, clip), state, token, bool(row and row[0]))


def token(db: sqlite3.Connection, clip: int, target: str, place: str) -> str:
    """Under which a transfer to `target` can be found; empty when there is none."""
    return _delivery(db, clip, target, place)[1]


def under_way(db: sqlite3.Connection, target: str) -> frozenset[str]:
    """The tokens of all transfers to `target` that will be gone on with."""
    rows = db.execute(
        "SELECT token FROM deliveries INDEXED BY deliveries_under_way"
        " WHERE target = ? AND state = 'sending' AND token <> ''",
        (target,),
    )
    return frozenset(str(row[0]) for row in rows)


def queue(db: sqlite3.Connection) -> tuple[int, int]:
    """(clips, bytes) that are stored here and not confirmed by every target."""
    row = db.execute(
        f"SELECT coalesce(sum(clips), 0), coalesce(sum(bytes), 0) FROM clip_counts WHERE {_PENDING}"
    ).fetchone()
    return int(row[0]), int(row[1])


def vouched(db: sqlite3.Connection, clip: int) -> list[tuple[str, str, float | None]]:
    """(target, place, when it last told the clip's very digest, by a trusted clock) of every target that the
    clip went to. None: it does not, or is to be asked again first."""
    rows = db.execute(
        "SELECT target, place, CASE WHEN state = 'confirmed' AND asked > 0 AND prove = 0 THEN proved END"
        " FROM deliveries WHERE clip = ? ORDER BY target",
        (clip,),
    )
    return [(str(target), str(place), proved) for target, place, proved in rows.fetchall()]


def begin(tx: sqlite3.Connection, clip: int, target: str, token: str, targets: Targets) -> None:
    """Keep the token under which the first byte is about to be sent."""
    _refuse_if_confirmed(tx, clip, target, D.SENDING, targets)
    _put(tx, clip, target, D.SENDING, token, targets[target])
    settle(tx, clip, targets, target=target)


def keep_token(tx: sqlite3.Connection, clip: int, target: str, token: str, targets: Targets) -> None:
    _move(tx, clip, target, D.SENDING, D.SENDING, targets, token=token)


def forget_tokens(tx: sqlite3.Connection, transfers: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Whoever carries one of these (target, clip) on begins anew; return the tokens of those under way."""
    forgotten = {}
    for target, clip in transfers:
        row = tx.execute(
            "SELECT token FROM deliveries WHERE clip = ? AND target = ? AND state = ? AND token <> ''",
            (clip, target, D.SENDING),
        ).fetchone()
        if row:
            forgotten[target, clip] = str(row[0])
            tx.execute("UPDATE deliveries SET token = '' WHERE clip = ? AND target = ?", (clip, target))
    return forgotten


def sent(tx: sqlite3.Connection, clip: int, target: str, targets: Targets) -> None:
    """The target has taken the last byte and has made an object of it."""
    _move(tx, clip, target, D.SENDING, D.SENT, targets)
    settle(tx, clip, targets, target=target)


def confirmed(
    tx: sqlite3.Connection,
    clip: int,
    target: str,
    receipt: Receipt,
    targets: Targets,
    *,
    complete: bool = True,
) -> None:
    """Believe the target, if what it reports is what the catalog itself describes. `complete`: nothing else
    is to be done there; else it is asked for again as soon as may be.

    Raises ReceiptDiffers or PlaceChanged; then nothing is changed."""
    if not receipt.place or receipt.place != targets[target]:
        raise PlaceChanged(target=target, address=receipt.location, was=targets[target], now=receipt.place)
    compare(tx, clip, target, receipt)
    said = asdict(receipt)
    now = time.time()
    changes: dict[str, Any] = {"receipt": json.dumps(said), "problem": None, "distrusted": 0, "lost": 0}
    proved = now if door.stamp().trusted else None
    changes |= {"asked": now if complete else 0.0, "proved": proved, "prove": 0}
    _move(tx, clip, target, D.SENT, D.CONFIRMED, targets, **changes)
    if not settle(tx, clip, targets, target=target, receipt=said):
        door.note(tx, "delivered", clip, {"target": target, "receipt": said})


def rejected(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """`target` refuses the clip. The others still get it; then the clip is rejected as a whole."""
    _refuse_if_confirmed(tx, clip, target, D.REJECTED, targets)
    _put(tx, clip, target, D.REJECTED, "", targets[target])
    failed(tx, clip, target, problem)
    if not settle(tx, clip, targets, target=target, reason=problem.key):
        door.note(tx, "refused", clip, {"target": target, "reason": problem.key})


def resend(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """The target took everything, and what it has now is not that: send it again, from the start."""
    _move(tx, clip, target, D.SENT, D.SENDING, targets, token="", **_taken_back(problem))
    facts = {"target": target, "reason": problem.key, "params": dict(problem.params)}
    if not settle(tx, clip, targets, **facts):
        door.note(tx, "resend", clip, facts)


def take_back(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """The target vouched for the clip and does not have it any more. The clip's state is the caller's."""
    changes = {"token": "", "receipt": None, "asked": None, "proved": None, "lost": 1, **_taken_back(problem)}
    _move(tx, clip, target, D.CONFIRMED, D.SENDING, targets, **changes)


def _taken_back(problem: Problem) -> dict[str, Any]:
    """Bytes that were found to be others are not believed to be ours because the target says so again."""
    distrusted = {"distrusted": 1} if problem.key == ReceiptDiffers.key else {}
    return {"problem": _as_json(problem), **distrusted}


def failed(tx: sqlite3.Connection, clip: int, target: str, problem: Problem) -> None:
    """Keep why a delivery that was begun does not get on. Writes nothing when that is known already."""
    tx.execute(
        "UPDATE deliveries SET problem = ?, updated = ? WHERE clip = ? AND target = ? AND problem IS NOT ?",
        (_as_json(problem), time.time(), clip, target, _as_json(problem)),
    )


def quarantined(tx: sqlite3.Connection, clip: int, problem: Problem) -> None:
    """The copy in the store is not what was verified there. Who refused the clip is asked anew once it is
    whole again."""
    state = _state(tx, clip)
    if state not in PENDING_UPLOAD | {S.REJECTED}:
        raise WrongState(clip=clip, old=str(state), new=str(S.QUARANTINED))
    _forget_refusals(tx, clip)
    door.change(tx, clip, state, S.QUARANTINED, reason=problem.key, params=dict(problem.params))


def retry_rejected(tx: sqlite3.Connection, older_than: float, now: float, targets: Targets) -> int:
    """Give clips that were refused before `older_than` another chance; return how many.

    A refusal dated in the future was written under a wrong clock and counts as old."""
    clips = tx.execute(
        "SELECT id FROM clips WHERE state = 'rejected' AND NOT EXISTS (SELECT 1 FROM deliveries d"
        " WHERE d.clip = clips.id AND d.state = 'rejected' AND d.updated BETWEEN ? AND ?)",
        (older_than, now),
    ).fetchall()
    for (clip,) in clips:
        _try_again(tx, clip, targets, reason="retry")
    return len(clips)


def retry_asked(tx: sqlite3.Connection, clip: int | None, who: str, targets: Targets) -> int:
    """Try all rejected clips again, or this one; return how many. `who` asked for that. Raises Reject when
    there is none."""
    rejected = [row[0] for row in tx.execute("SELECT id FROM clips WHERE state = 'rejected' ORDER BY id")]
    if clip is not None and clip not in rejected:
        raise Reject("clip-not-rejected", clip=clip)
    if not rejected:
        raise Reject("none-rejected")
    for one in rejected if clip is None else [clip]:
        _try_again(tx, one, targets, reason="retry", who=who)
    return len(rejected) if clip is None else 1


def _try_again(tx: sqlite3.Connection, clip: int, targets: Targets, **facts: Any) -> None:
    _forget_refusals(tx, clip)
    door.change(tx, clip, S.REJECTED, S.STORED, **facts)
    # Who refused it may have left the configuration: then nobody is to be waited for.
    settle(tx, clip, targets, **facts)


def _forget_refusals(tx: sqlite3.Connection, clip: int) -> None:
    tx.execute(
        "UPDATE deliveries SET state = ?, token = '', updated = ? WHERE clip = ? AND state = 'rejected'",
        (D.SENDING, time.time(), clip),
    )


def settle_all(tx: sqlite3.Connection, targets: Targets) -> int:
    """After a change of targets or their places: move clips that wait for none of these; return how many."""
    if not targets or not all(targets.values()):
        return 0
    pairs = ", ".join("(?, ?)" for _ in targets)
    clips = tx.execute(
        f"SELECT id FROM clips INDEXED BY clips_to_upload WHERE {_PENDING} AND ? ="
        " (SELECT count(*) FROM deliveries d WHERE d.clip = clips.id"
        f" AND (d.target, d.place) IN (VALUES {pairs})"
        " AND d.state IN ('confirmed', 'rejected')) ORDER BY id",
        (len(targets), *(value for pair in targets.items() for value in pair)),
    ).fetchall()
    return sum(settle(tx, clip, targets, reason="targets-changed") for (clip,) in clips)


def _goal(db: sqlite3.Connection, clip: int, targets: Targets) -> ClipState | None:
    """The state that a clip's deliveries make it have; None while none has begun."""
    rows = db.execute("SELECT target, state, place FROM deliveries WHERE clip = ?", (clip,))
    by_target = {
        target: D(state)
        for target, state, place in rows
        if target in targets and _counts(place, targets[target])
    }
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


def _counts(place: str, current: str) -> bool:
    """Nothing counts for a place that nobody has asked yet who it is."""
    return place == current != ""


def settle(tx: sqlite3.Connection, clip: int, targets: Targets, **facts: Any) -> bool:
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


def compare(tx: sqlite3.Connection, clip: int, target: str, receipt: Receipt) -> None:
    """Raises ReceiptDiffers when `receipt` is not of what the catalog describes."""
    manifest = manifest_of(tx, clip)
    if receipt.size != manifest.size or receipt.sha256 not in manifest.digests:
        raise ReceiptDiffers(target=target, size=receipt.size, expected=manifest.size, sha256=receipt.sha256)


def _state(db: sqlite3.Connection, clip: int) -> ClipState:
    return ClipState(db.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])


def _delivery(db: sqlite3.Connection, clip: int, target: str, place: str) -> tuple[DeliveryState | None, str]:
    """(state, token); a delivery to another place is none."""
    row = db.execute(
        "SELECT state, token, place FROM deliveries WHERE clip = ? AND target = ?", (clip, target)
    ).fetchone()
    return (D(row[0]), str(row[1])) if row and _counts(row[2], place) else (None, "")


def _refuse_if_confirmed(
    tx: sqlite3.Connection, clip: int, target: str, new: DeliveryState, targets: Targets
) -> None:
    if _delivery(tx, clip, target, targets[target])[0] is D.CONFIRMED:
        raise WrongState(clip=clip, target=target, old=str(D.CONFIRMED), new=str(new))


def _put(
    tx: sqlite3.Connection, clip: int, target: str, state: DeliveryState, token: str, place: str
) -> None:
    tx.execute(
        "INSERT INTO deliveries (clip, target, state, token, place, updated) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (clip, target) DO UPDATE SET state = excluded.state, token = excluded.token,"
        " place = excluded.place, receipt = NULL, asked = NULL, proved = NULL, updated = excluded.updated",
        (clip, target, state, token, place, time.time()),
    )


def _move(
    tx: sqlite3.Connection,
    clip: int,
    target: str,
    old: DeliveryState,
    new: DeliveryState,
    targets: Targets,
    **columns: Any,
) -> None:
    """Raises WrongState when the delivery is not in `old`, or was made to another place."""
    columns = {"state": new, "updated": time.time(), **columns}
    changes = ", ".join(f"{name} = ?" for name in columns)
    done = tx.execute(
        f"UPDATE deliveries SET {changes} WHERE clip = ? AND target = ? AND state = ? AND place = ?",
        (*columns.values(), clip, target, old, targets[target]),
    )
    if done.rowcount != 1:
        raise WrongState(clip=clip, target=target, old=str(old), new=str(new))


def _as_json(problem: Problem) -> str:
    body = {"key": problem.key, "params": dict(problem.params)}
    return json.dumps(body, ensure_ascii=False, default=str)
