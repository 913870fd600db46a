"""Carries one clip to one target, from wherever it is on its way.

    ask the position → send part after part → finish → SENT → verify → compare → CONFIRMED

Every arrow may be the last one before a power cut; whoever comes next begins with what the catalog
knows and asks the target for the rest. The offset itself is never saved.
"""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.catalog import deliveries, reconfirm, rot
from agent.catalog.deliveries import Delivery, ReceiptDiffers, Targets
from agent.errors import AuthFailed, NotEqual, Rejected, StationError, Stopping, Transient, WrongState
from agent.model import DeliveryState, Lock, Problem, Receipt, StoredClip, printable, spans
from agent.upload import local
from agent.upload.generation import Generation
from agent.upload.limits import Limits
from agent.upload.targets.base import Check, Target, go_on

#: Failures to read a clip back, while the target says that it has it, after which it is taken for damaged.
_UNREADABLE = 4
Sent = Callable[[], None]
#: Seconds after which a transfer that is not ours is taken for an orphan. It may be another station's.
_ORPHAN = 30 * 86400.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Courier:
    """`store_path` gives the file of a key; of an empty key, the folder of all."""

    generation: Generation
    store_path: Callable[[str], Path]
    limits: Limits
    #: Whether a clip's bytes are to be read back. The same answer for as long as it is asked for one clip.
    read_back: Callable[[int], bool] = lambda clip: False
    #: What a clip is to be locked under; None while the clock does not tell.
    lock: Callable[[sqlite3.Connection, int], Lock | None] = lambda db, clip: Lock()
    unreadable: dict[tuple[str, int], int] = field(default_factory=dict)  # failures, of bytes that are there
    unlocked: set[str] = field(default_factory=set)  # targets that lock nothing, and should

    def greet(self, target: Target) -> None:
        """Ask who is behind the target's name. Until then nothing that it ever confirmed counts. Raises
        PlaceChanged when it is another one than it was bound to."""
        place = self.generation.who(target)
        if before := self.generation.found(target.name, target.address, place):
            _log.warning(
                "%s: %s is another place now (%s, it was %s), and accepted: clips that wait are sent there",
                target.name, printable(target.address), place, before,
            )  # fmt: skip

    def deliver(self, clip: int, target: Target, check: Check, sent: Sent, turn: Check = go_on) -> bool:
        """True when `target` vouched for the clip; False when there was nothing to do any more.

        `check` is called between parts and inside long reads; it may raise Stopping. `sent` is called after
        each part, `turn` before each: it raises Stopping when the rest is to wait. Raises what stood in the
        way, after the catalog knows of it: Rejected, NotEqual (quarantined now), any other StationError (to
        be tried again)."""
        found = self.prepared(clip, target)
        if found is None:
            return False
        delivery, lock_known = found
        try:
            check()  # after the token was read: one of a generation that came later is not ours
            self._same_place(target)
            if delivery.state is not DeliveryState.SENT:
                self._send(delivery, target, check, sent, turn)
            self._confirm(delivery, target, check, lock_known=lock_known)
        except Stopping:
            self.clear_away(delivery.clip, target)
            raise
        except WrongState:
            raise
        except StationError as error:
            self.record(target, delivery.clip, error, check)
            raise
        return True

    def prepared(self, clip: int, target: Target) -> tuple[Delivery, bool] | None:
        """What is to be carried, with the lock that it is to get, and whether that is known yet; None when
        there is nothing to do any more."""
        place = self.generation.place(target.name)
        delivery = deliveries.load(self.generation.read(), clip, target.name, place)
        if delivery is None:
            return None
        lock = self.lock(self.generation.read(), clip)
        return replace(delivery, clip=replace(delivery.clip, lock=lock or Lock())), lock is not None

    def ask(self, clip: int, target: Target, check: Check) -> bool:
        """Whether `target` still has what it confirmed. False when it does not: then the catalog knows, and
        the clip is due again. Raises what kept it from answering."""
        place, name = self.generation.place(target.name), target.name
        delivery = reconfirm.load(self.generation.read(), clip, name, place)
        if delivery is None:
            raise Stopping  # somebody else has moved it on
        receipt = None
        self._same_place(target)  # another store, or one that has lost its mark, has lost nothing of ours
        try:
            if self.read_back(clip):
                receipt = self._read(delivery.clip, delivery.token, target, check)
            elif reconfirm.to_prove(self.generation.read(), clip, name):
                receipt = target.verify(delivery.clip, delivery.token, check)
            elif not any(target.holds(delivery.clip, delivery.token) for _ in range(2)):
                # Not by one answer: somebody on the way may have given that.
                raise Transient("not-there", what="clip")
            lock, kept = self._renew(delivery, clip, target) if target.locking else (None, None)

            def asked(tx: sqlite3.Connection, targets: Targets) -> None:
                reconfirm.asked(tx, clip, name, targets, receipt, kept)
                if lock is not None and self.grown(tx, clip, lock):
                    reconfirm.soon(tx, [clip])

            self.generation.write(asked)
            return True
        except (ReceiptDiffers, Transient) as error:
            if not isinstance(error, ReceiptDiffers) and error.key != "not-there":
                raise
            problem = Problem(error.key, error.params)
        self._same_place(target)  # and not one that took its place while it was asked
        if problem.key == "not-there" and self.lock(self.generation.read(), clip) == Lock():
            # No rule and no hold here wants it there any more: the archive has erased it, or may.
            _log.info("%s does not have clip %d any more, whose time there is over", name, clip)
            self.generation.write(lambda tx, targets: reconfirm.asked(tx, clip, name, targets))
            return True
        _log.critical("%s does not have clip %d any more, which it confirmed: %s", name, clip, problem)
        self.generation.write(lambda tx, targets: reconfirm.lost(tx, clip, name, problem, targets))
        return False

    def _same_place(self, target: Target) -> None:
        self.generation.same_place(target, self.generation.place(target.name))

    def _read(self, clip: StoredClip, token: str, target: Target, check: Check) -> Receipt:
        """Read back. Bytes that cannot be read again and again, of a clip that the target says it has, are
        not the clip's: raises ReceiptDiffers."""
        key = target.name, clip.id
        try:
            receipt = target.verify(clip, token, check, read_back=True)
        except Transient as error:
            if error.key == "not-there" or not target.holds(clip, token):
                raise
            self.unreadable[key] = self.unreadable.get(key, 0) + 1
            if self.unreadable[key] < _UNREADABLE:
                raise
            del self.unreadable[key]
            raise ReceiptDiffers(target=target.name, why="unreadable", error=error.key) from error
        self.unreadable.pop(key, None)
        return receipt

    def sweep(self, target: Target) -> None:
        """Clear away what was begun at `target` long ago, and will not be gone on with."""
        if swept := target.sweep(deliveries.under_way(self.generation.read(), target.name), _ORPHAN):
            _log.info("%s: %d transfers that nobody goes on with were cleared away", target.name, swept)

    def _send(self, delivery: Delivery, target: Target, check: Check, sent: Sent, turn: Check) -> None:
        clip, size = delivery.clip, delivery.clip.manifest.size
        with local.opened(self.store_path(""), clip.key, size, check, self.limits) as reader:
            token, position = self._resume(delivery, target, check)
            for offset, length in spans(size, clip.manifest.part_size):
                if offset >= position:
                    check()
                    turn()
                    token = self._send_part(clip, target, token, reader, offset, length)
                    # The next part is read into this one's memory: under a hypervisor fresh memory costs more
                    # CPU than sending does, and what others have in the cache stays there.
                    reader.forget_cache(offset, length)
                    sent()
        target.finish(clip, token, check)
        self.generation.write(lambda tx, targets: deliveries.sent(tx, clip.id, target.name, targets))

    def _resume(self, delivery: Delivery, target: Target, check: Check) -> tuple[str, int]:
        """(token, position) of the transfer that is under way, or of a new one."""
        clip, token = delivery.clip, delivery.token
        if token:
            try:
                return token, target.position(clip, token, check)
            except Transient as error:
                if error.key != "token-lost":
                    raise
        self._forget(clip, target, token)  # else its parts would lie there until somebody sweeps
        token = target.begin(clip, anew=delivery.distrusted)
        self.generation.write(lambda tx, targets: deliveries.begin(tx, clip.id, target.name, token, targets))
        return token, target.position(clip, token, check)

    def _send_part(
        self,
        clip: StoredClip,
        target: Target,
        token: str,
        reader: local.LocalFile,
        offset: int,
        length: int,
    ) -> str:
        try:
            new = target.send(clip, token, reader, offset, length)
        except NotEqual:
            # The flipped bit may be in memory only: a good copy is not given up before the disk was asked.
            reader.forget_cache()
            new = target.send(clip, token, reader, offset, length)
        if new != token:
            name = target.name
            self.generation.write(lambda tx, targets: deliveries.keep_token(tx, clip.id, name, new, targets))
        return new

    def _confirm(self, delivery: Delivery, target: Target, check: Check, *, lock_known: bool) -> None:
        clip, name = delivery.clip, target.name
        token = self._token(clip, target)
        if delivery.distrusted or self.read_back(clip.id):
            receipt = self._read(clip, token, target, check)
        else:
            receipt = target.verify(clip, token, check)
        if target.locking and not receipt.lock.covers(clip.lock):
            receipt = replace(receipt, lock=self._protect(clip, token, target))

        def confirmed(tx: sqlite3.Connection, targets: Targets) -> None:
            # What cannot be locked yet is asked for, and locked, as soon as the clock can be trusted.
            complete = not target.locking or (lock_known and not self.grown(tx, clip.id, clip.lock))
            deliveries.confirmed(tx, clip.id, name, receipt, targets, complete=complete)

        self.generation.write(confirmed)

    def grown(self, tx: sqlite3.Connection, clip: int, lock: Lock) -> bool:
        """Whether somebody wants the clip kept for longer than when `lock` was worked out: a hold may have
        been set while it was on its way."""
        now = self.lock(tx, clip)
        return now is not None and not lock.covers(now)

    def _protect(self, clip: StoredClip, token: str, target: Target) -> Lock:
        kept = target.protect(clip, token)
        (self.unlocked.discard if kept.covers(clip.lock) else self.unlocked.add)(target.name)
        return kept

    def _renew(self, delivery: Delivery, clip: int, target: Target) -> tuple[Lock, Lock | None]:
        """(what it should be kept under, what it is kept under) of a clip that is there. That its lock is
        refused is told, and tried again with the next question: it is no reason to keep other clips from the
        target. Raises Stopping when the clock is not to be trusted any more: then it is asked for later."""
        if (lock := self.lock(self.generation.read(), clip)) is None:
            raise Stopping
        try:
            return lock, self._protect(replace(delivery.clip, lock=lock), delivery.token, target)
        except AuthFailed as error:
            if error.key != "target-lock-refused":
                raise
            self.unlocked.add(target.name)
            _log.error("%s: clip %d is not locked as it should be: %s", target.name, clip, error)
            return lock, None

    def record(self, target: Target, stored: StoredClip, error: StationError, check: Check) -> None:
        """Let the catalog know what stood in the way of a clip; where it lies in vain, clear it away."""
        clip = stored.id
        problem, name, write = Problem(error.key, error.params), target.name, self.generation.write
        if isinstance(error, NotEqual):
            self._abort(stored, target, check)
            problem = Problem(error.key, {"path": printable(stored.key), **error.params})
            write(lambda tx, _: rot.found(tx, clip, problem))
        elif isinstance(error, Rejected):
            self._abort(stored, target, check)
            write(lambda tx, targets: deliveries.rejected(tx, clip, name, problem, targets))
        elif isinstance(error, ReceiptDiffers) or error.key == "not-there":
            self._abort(stored, target, check)
            write(lambda tx, targets: deliveries.resend(tx, clip, name, problem, targets))
        else:
            write(lambda tx, _: deliveries.failed(tx, clip, name, problem))

    def _token(self, clip: StoredClip, target: Target) -> str:
        place = self.generation.place(target.name)
        return deliveries.token(self.generation.read(), clip.id, target.name, place)

    def _abort(self, clip: StoredClip, target: Target, check: Check) -> None:
        """Leave nothing half-sent behind. A target that does not let us keeps a partial, no more."""
        token = self._token(clip, target)
        check()  # after the token was read, as in `deliver`
        self._forget(clip, target, token)

    def clear_away(self, clip: StoredClip, target: Target) -> None:
        """What a share that hung through a change of the configuration was being sent meanwhile."""
        self._forget(clip, target, self.generation.disowned(target.name, clip.id))

    def _forget(self, clip: StoredClip, target: Target, token: str) -> None:
        if not token:
            return
        try:
            target.abort(clip, token)
        except StationError as error:
            _log.warning("%s: cannot abort %s: %s", target.name, printable(clip.key), error)
