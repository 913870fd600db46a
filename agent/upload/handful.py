"""Carries several short clips to a target on one errand: they share the questions of who it is, and commits.

    who it is → begin all → send one after the other → ask of each → who it is → SENT and CONFIRMED, all

It knows the ordinary course and nothing else. A clip that leaves it is left where it stands, with a token
that is committed: whoever takes it next carries it alone, as the courier does, and asks the target for the
rest. So every arrow may be the last one before a power cut. That all were sent waits for the second commit:
until then only questions are asked, and who has a token finds by a question, too, that nothing is to be sent.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from agent.catalog import deliveries
from agent.catalog.deliveries import Delivery, Targets
from agent.errors import NotEqual, Rejected, StationError, Stopping, WrongState
from agent.model import Receipt, StoredClip
from agent.upload import local
from agent.upload.generation import Work
from agent.upload.targets.base import Check
from agent.upload.targets.short import Short
from agent.upload.worker import Courier


@dataclass(slots=True)
class Outcome:
    """What became of each clip. One that stands nowhere was never begun."""

    begun: set[int] = field(default_factory=set)  # its token is committed
    taken: int = 0  # how many the target took
    done: set[int] = field(default_factory=set)  # the target vouched for it
    failed: dict[int, StationError] = field(default_factory=dict)  # the catalog knows of it


@dataclass(frozen=True, slots=True)
class _One:
    delivery: Delivery
    lock_known: bool

    @property
    def clip(self) -> StoredClip:
        return self.delivery.clip


class _Over(Exception):
    """The rest of the handful is left."""


class Handful:
    """`check` as for `Courier.deliver`; `turn` is asked before each clip, and raises Stopping when it and
    those behind it are to wait."""

    def __init__(self, courier: Courier, target: Short, check: Check, turn: Callable[[int], None]) -> None:
        self._courier, self._target, self._name = courier, target, target.name
        self._generation = courier.generation
        self._check, self._turn = check, turn
        self._outcome = Outcome()

    def carry(self, clips: Sequence[int]) -> Outcome:
        """Ends with the first failure. Raises Stopping, or CatalogError when nothing can be committed."""
        found = [self._courier.prepared(clip, self._target) for clip in clips]
        ones = [_One(*one) for one in found if one and _is_fresh(one[0])]
        try:
            if ones:
                with suppress(_Over):
                    self._carry(ones)
        except Stopping:
            for one in ones:
                self._courier.clear_away(one.clip, self._target)
            raise
        return self._outcome

    def _carry(self, ones: Sequence[_One]) -> None:
        place = self._generation.place(self._name)
        self._check()  # after the tokens were read, as in `Courier.deliver`
        self._turn(ones[0].clip.id)
        with self._blaming(ones[0]):
            self._generation.same_place(self._target, place)
        taken = list(self._send(self._begin(ones)))
        receipts = {one.clip.id: receipt for one, receipt in self._ask(taken)}
        if receipts:
            with self._blaming(taken[0]):
                # Asked last: who answers now has answered before.
                self._generation.same_place(self._target, place)
        told = [one for one in taken if one.clip.id in receipts]
        self._commit(
            [(one, self._sent(one)) for one in taken]
            + [(one, self._confirmed(one, replace(receipts[one.clip.id], place=place))) for one in told]
        )
        self._outcome.done.update(one.clip.id for one in told if one.clip.id not in self._outcome.failed)

    def _begin(self, ones: Sequence[_One]) -> list[_One]:
        tokens = dict[int, str]()
        for one in ones:
            with self._blaming(one):
                tokens[one.clip.id] = self._target.begin(one.clip)
        self._commit([(one, self._begun(one, tokens[one.clip.id])) for one in ones])
        begun = [one for one in ones if one.clip.id not in self._outcome.failed]
        self._outcome.begun.update(one.clip.id for one in begun)
        return begun

    def _send(self, ones: Sequence[_One]) -> Iterator[_One]:
        """Those that the target took. What is odd ends it, and is the courier's: he looks twice."""
        for one in ones:
            self._check()
            try:
                self._turn(one.clip.id)
            except Stopping:
                return
            with self._blaming(one):
                try:
                    taken = self._lay(one.clip)
                except (NotEqual, Rejected):
                    return
            if not taken:
                return
            self._outcome.taken += 1
            yield one

    def _lay(self, clip: StoredClip) -> bool:
        size, courier = clip.manifest.size, self._courier
        with local.opened(courier.store_path(""), clip.key, size, self._check, courier.limits) as reader:
            taken = self._target.lay_new(clip, reader)
            reader.forget_cache(0, size)
        return taken

    def _ask(self, ones: Sequence[_One]) -> Iterator[tuple[_One, Receipt]]:
        """Those of which the target tells just what they are. What it tells is odd, or is to be locked or
        read back besides: the courier's."""
        asked = [one for one in ones if not self._courier.read_back(one.clip.id)]
        told = self._target.told([one.clip for one in asked], self._check)
        for one in asked:
            with self._blaming(one):
                receipt = next(told, None)
            if receipt is None or (self._target.locking and not receipt.lock.covers(one.clip.lock)):
                return
            yield one, receipt

    def _begun(self, one: _One, token: str) -> Work:
        return lambda tx, targets: deliveries.begin(tx, one.clip.id, self._name, token, targets)

    def _sent(self, one: _One) -> Work:
        return lambda tx, targets: deliveries.sent(tx, one.clip.id, self._name, targets)

    def _confirmed(self, one: _One, receipt: Receipt) -> Work:
        def confirmed(tx: sqlite3.Connection, targets: Targets) -> None:
            clip, courier = one.clip, self._courier
            locked = one.lock_known and not courier.grown(tx, clip.id, clip.lock)
            complete = locked or not self._target.locking
            deliveries.confirmed(tx, clip.id, self._name, receipt, targets, complete=complete)

        return confirmed

    def _commit(self, works: Sequence[tuple[_One, Work]]) -> None:
        """All in one commit. A clip that says no takes nothing of the others."""
        said = self._generation.each([work for _, work in works]) if works else []
        for (one, _), error in zip(works, said, strict=True):
            if error is not None and one.clip.id not in self._outcome.failed:
                self._fail(one, error)

    @contextmanager
    def _blaming(self, one: _One) -> Iterator[None]:
        """What goes wrong here is told of this clip, and ends the handful."""
        try:
            yield
        except Stopping:
            raise
        except StationError as error:
            self._fail(one, error)
            raise _Over from error

    def _fail(self, one: _One, error: StationError) -> None:
        if not isinstance(error, WrongState):
            self._courier.record(self._target, one.clip, error, self._check)
        self._outcome.failed[one.clip.id] = error


def _is_fresh(delivery: Delivery) -> bool:
    fresh = delivery.state is None and not delivery.token and not delivery.distrusted
    return fresh and len(delivery.clip.manifest.parts) == 1
