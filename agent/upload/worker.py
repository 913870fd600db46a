"""Carries one clip to one target, from wherever it is on its way.

    ask the position → send part after part → finish → SENT → verify → compare → CONFIRMED

Every arrow may be the last one before a power cut; whoever comes next begins with what the catalog
knows and asks the target for the rest. The offset itself is never saved.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.catalog import Catalog, deliveries
from agent.catalog.deliveries import Delivery, ReceiptDiffers
from agent.errors import NotEqual, Rejected, StationError, Stopping, Transient, WrongState
from agent.model import DeliveryState, Problem, StoredClip, printable, spans
from agent.upload import local
from agent.upload.targets.base import Check, Target

Sent = Callable[[int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Courier:
    """`targets`: the names of all configured ones; a clip is confirmed when each of them has it."""

    catalog: Catalog
    targets: tuple[str, ...]
    store_path: Callable[[str], Path]

    def deliver(self, clip: int, target: Target, check: Check, sent: Sent) -> bool:
        """True when `target` vouched for the clip; False when there was nothing to do any more.

        `check` is called between parts and inside long reads; it may raise Stopping. `sent` hears of
        the bytes of each part. Raises what stood in the way, after the catalog knows of it: Rejected,
        NotEqual (quarantined now), any other StationError (to be tried again)."""
        delivery = deliveries.load(self.catalog.read(), clip, target.name)
        if delivery is None:
            return False
        try:
            if delivery.state is not DeliveryState.SENT:
                self._send(delivery, target, check, sent)
            self._confirm(delivery.clip, target, check)
        except (Stopping, WrongState):
            raise
        except StationError as error:
            self._record(clip, target, delivery.clip, error)
            raise
        return True

    def _send(self, delivery: Delivery, target: Target, check: Check, sent: Sent) -> None:
        clip = delivery.clip
        with local.opened(self.store_path(clip.key), clip.manifest.size, check) as reader:
            token, position = self._resume(delivery, target, check)
            for offset, length in spans(clip.manifest.size, clip.manifest.part_size):
                if offset >= position:
                    check()
                    token = self._send_part(clip, target, token, reader, offset, length)
                    sent(length)
        target.finish(clip, token, check)
        self.catalog.write(lambda tx: deliveries.sent(tx, clip.id, target.name, self.targets))

    def _resume(self, delivery: Delivery, target: Target, check: Check) -> tuple[str, int]:
        """(token, position) of the transfer that is under way, or of a new one."""
        clip, token = delivery.clip, delivery.token
        if token:
            try:
                return token, target.position(clip, token, check)
            except Transient as error:
                if error.key != "token-lost":
                    raise
        token = target.begin(clip)
        self.catalog.write(lambda tx: deliveries.begin(tx, clip.id, target.name, token, self.targets))
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
            self.catalog.write(lambda tx: deliveries.keep_token(tx, clip.id, target.name, new))
        return new

    def _confirm(self, clip: StoredClip, target: Target, check: Check) -> None:
        receipt = target.verify(clip, check)
        self.catalog.write(lambda tx: deliveries.confirmed(tx, clip.id, target.name, receipt, self.targets))

    def _record(self, clip: int, target: Target, stored: StoredClip, error: StationError) -> None:
        problem, name = Problem(error.key, error.params), target.name
        if isinstance(error, NotEqual):
            self._abort(stored, target)
            problem = Problem(error.key, {"path": printable(stored.key), **error.params})
            self.catalog.write(lambda tx: deliveries.quarantined(tx, clip, problem))
        elif isinstance(error, Rejected):
            self._abort(stored, target)
            self.catalog.write(lambda tx: deliveries.rejected(tx, clip, name, problem, self.targets))
        elif isinstance(error, ReceiptDiffers) or error.key == "not-there":
            self._abort(stored, target)
            self.catalog.write(lambda tx: deliveries.resend(tx, clip, name, problem, self.targets))
        else:
            self.catalog.write(lambda tx: deliveries.failed(tx, clip, name, problem))

    def _abort(self, clip: StoredClip, target: Target) -> None:
        """Leave nothing half-sent behind. A target that does not let us keeps a partial, no more."""
        token = deliveries.token(self.catalog.read(), clip.id, target.name)
        if not token:
            return
        try:
            target.abort(clip, token)
        except StationError as error:
            _log.warning("%s: cannot abort %s: %s", target.name, printable(clip.key), error)
