"""Asking a target again for what it confirmed: a centre may be restored from an old backup, or lose a disk.

Clips that are still here are asked for again and again; what the target no longer has is sent anew. Of those
that are not here any more, once, where somebody wants them locked for longer.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

from agent.catalog import deliveries, door, released
from agent.catalog.deliveries import Delivery, PlaceChanged, Targets
from agent.catalog.documents import stored_clip
from agent.errors import WrongState
from agent.model import ClipState, DeliveryState, Lock, Problem, Receipt

_SLACK = 86400.0  # seconds: a clock that is only being set is not a wrong one
_VOUCHED = "state IN ('stored', 'uploading', 'uploaded', 'confirmed', 'rejected', 'released')"
_IS_RELEASED = "(SELECT state FROM clips WHERE id = :clip) = 'released'"
_NEXT = (
    "SELECT clip FROM deliveries INDEXED BY deliveries_to_ask WHERE target = ? AND place = ?"
    " AND state = 'confirmed' AND asked {} AND EXISTS"
    f" (SELECT 1 FROM clips WHERE id = clip AND {_VOUCHED}) ORDER BY asked"
)


def next_to_ask(
    db: sqlite3.Connection, target: str, place: str, before: float, now: float, skip: Callable[[int], bool]
) -> int | None:
    """The clip that `target` vouched for longest ago, if that was before `before`. One that it vouched for
    long after `now` was asked for under a wrong clock, and counts as one of long ago."""
    for comparison, bound in (("> ?", now + _SLACK), ("< ?", before)):
        cursor = db.execute(_NEXT.format(comparison), (target, place, bound))
        try:
            for (clip,) in cursor:
                if not skip(clip):
                    return int(clip)
        finally:
            cursor.close()
    return None


def load(db: sqlite3.Connection, clip: int, target: str, place: str) -> Delivery | None:
    """None when `target` does not vouch for the clip any more."""
    row = db.execute(
        "SELECT d.token FROM deliveries d JOIN clips ON clips.id = d.clip WHERE d.clip = ? AND d.target = ?"
        f" AND d.place = ? AND d.state = 'confirmed' AND clips.{_VOUCHED}",
        (clip, target, place),
    ).fetchone()
    return Delivery(stored_clip(db, clip), DeliveryState.CONFIRMED, str(row[0])) if row else None


def asked(
    tx: sqlite3.Connection,
    clip: int,
    target: str,
    targets: Targets,
    receipt: Receipt | None = None,
    lock: Lock | None = None,
) -> None:
    """It still has the clip; with a `receipt` when it told the digest, or was read; under this lock, where it
    was asked to keep it under one. Raises ReceiptDiffers."""
    if receipt is not None:
        if receipt.place != targets[target]:
            raise PlaceChanged(
                target=target, address=receipt.location, was=targets[target], now=receipt.place
            )
        deliveries.compare(tx, clip, target, receipt)
    proved = ", proved = :proved, prove = 0" if receipt is not None else ""
    now = time.time()
    done = tx.execute(
        f"UPDATE deliveries SET asked = CASE WHEN {_IS_RELEASED} THEN NULL ELSE :now END{proved}"
        " WHERE clip = :clip AND target = :target"
        " AND place = :place AND state = 'confirmed'",
        {
            "now": now,
            "proved": now if door.stamp().trusted else None,
            "clip": clip,
            "target": target,
            "place": targets[target],
        },
    )
    if done.rowcount != 1:
        raise WrongState(clip=clip, target=target)
    if lock is not None:
        tx.execute(
            "UPDATE deliveries SET receipt = json_set(receipt, '$.lock', json(?))"
            " WHERE clip = ? AND target = ?",
            (json.dumps(asdict(lock)), clip, target),
        )


def soon(tx: sqlite3.Connection, clips: Iterable[int], *, prove: bool = False) -> int:
    """Targets are asked for these next, and lock them as they are to be locked now. `prove`: they are to tell
    their digest, or to be read back, as when they confirmed them. How many are asked that were not."""
    done = tx.executemany(
        "UPDATE deliveries SET asked = 0, prove = max(prove, :prove) WHERE clip = :clip"
        f" AND state = 'confirmed' AND (asked > 0 OR prove < :prove OR (asked IS NULL AND {_IS_RELEASED}))",
        [{"prove": prove, "clip": clip} for clip in clips],
    )
    return done.rowcount


def back(tx: sqlite3.Connection, clip: int) -> None:
    """It was quarantined, and nobody was to be asked for it any more; it is here again: who had confirmed it
    is asked next."""
    tx.execute(
        "UPDATE deliveries SET asked = 0 WHERE clip = ? AND state = 'confirmed' AND asked IS NULL", (clip,)
    )


def prove_soon(tx: sqlite3.Connection, which: Iterable[tuple[int, str]]) -> int:
    """As `soon`, of these (clip, target) alone: another target that has just proved a clip does not do so
    again, which may be to read all of it, because this one is silent."""
    done = tx.executemany(
        "UPDATE deliveries SET asked = 0, prove = 1 WHERE clip = ? AND target = ? AND state = 'confirmed'"
        " AND (asked > 0 OR prove = 0)",
        which,
    )
    return done.rowcount


def to_prove(db: sqlite3.Connection, clip: int, target: str) -> bool:
    row = db.execute("SELECT prove FROM deliveries WHERE clip = ? AND target = ?", (clip, target)).fetchone()
    return bool(row and row[0])


def lost(tx: sqlite3.Connection, clip: int, target: str, problem: Problem, targets: Targets) -> None:
    """`target` confirmed the clip, and does not have it now: it is sent again."""
    state = ClipState(tx.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])
    if state is ClipState.RELEASED:  # it went while the target was asked
        released.missed(tx, clip, target, targets[target])
        return
    deliveries.take_back(tx, clip, target, problem, targets)
    facts = {"target": target, "reason": problem.key, "params": dict(problem.params)}
    door.note(tx, "lost-at-target", clip, facts)
    if state in (ClipState.CONFIRMED, ClipState.REJECTED):
        door.change(tx, clip, state, ClipState.STORED, reason="lost-at-target", target=target)
    deliveries.settle(tx, clip, targets, reason="lost-at-target")


def lost_now(db: sqlite3.Connection) -> dict[str, int]:
    """How many clips each target had confirmed, did not have any more, and does not have yet."""
    rows = db.execute(
        "SELECT target, count(*) FROM deliveries INDEXED BY deliveries_lost WHERE lost = 1 GROUP BY target"
    )
    return {str(target): int(clips) for target, clips in rows}
