"""Who may commit. A reload of the configuration replaces one generation of uploads by the next.

An uploader of the last one may hang in a share for hours and then wake up: whatever it believes by then
(which targets there are, which bytes it may cut) is out of date, and the catalog refuses it.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from agent.catalog import Catalog, deliveries, places
from agent.catalog.deliveries import PlaceChanged, ReceiptDiffers, Targets
from agent.errors import StationError, Stopping, WrongState
from agent.upload.targets.base import Target

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, Targets], object]
#: What a change of one clip says of that clip.
_OF_ONE = (WrongState, ReceiptDiffers, PlaceChanged)


class Answer(NamedTuple):
    """Of a target that was asked who it is."""

    took: float  # seconds
    at: float  # monotonic


class Generation:
    """`targets`: the names of all configured ones; a clip is confirmed when each of them has it."""

    def __init__(self, catalog: Catalog, targets: Iterable[str]) -> None:
        self._catalog = catalog
        self._places = dict.fromkeys(targets, "")  # changed on the catalog's thread only
        self._ended = False
        self._disowned: dict[tuple[str, int], str] = {}
        self._answers: dict[str, Answer] = {}

    def read(self) -> sqlite3.Connection:
        return self._catalog.read()

    def place(self, target: str) -> str:
        """Empty until the target was asked."""
        return self._places[target]

    def who(self, target: Target) -> str:
        """Which place says that it is `target` now. It is a small question, asked before and behind all else:
        so it tells how long the target takes to answer."""
        began = time.monotonic()
        place = target.place()
        now = time.monotonic()
        self._answers[target.name] = Answer(now - began, now)
        return place

    def same_place(self, target: Target, place: str) -> None:
        """Raises PlaceChanged when another store answers by now than `place`, which was greeted."""
        now = self.who(target)
        if now != place:
            raise PlaceChanged(target=target.name, address=target.address, was=place, now=now)

    def answer(self, target: str) -> Answer | None:
        """Its last one; None while it gave none."""
        return self._answers.get(target)

    @property
    def ended(self) -> bool:
        return self._ended

    def write(self, work: Callable[[sqlite3.Connection, Targets], T]) -> T:
        """Commit. Raises Stopping, and changes nothing, when another generation has taken over."""

        def while_current(tx: sqlite3.Connection) -> T:
            # Inside the transaction: those of the next generation come after the one that ends this.
            if self._ended:
                raise Stopping
            return work(tx, self._places)

        return self._catalog.write(while_current)

    def each(self, works: Sequence[Work]) -> list[StationError | None]:
        """Commit all of these at once; where one of them says no, each by itself. What each of them said.
        Raises Stopping as `write` does, and CatalogError when nothing can be committed now."""
        try:
            self.write(lambda tx, targets: [work(tx, targets) for work in works])
        except _OF_ONE:
            return [self._alone(work) for work in works]
        return [None] * len(works)

    def _alone(self, work: Work) -> StationError | None:
        try:
            self.write(work)
        except _OF_ONE as error:
            return error
        return None

    def found(self, target: str, address: str, place: str) -> str:
        """`place` is behind the name now; return which one was before if that was another one, or "".
        Raises PlaceChanged when nobody has accepted that."""

        def work(tx: sqlite3.Connection, _: Targets) -> str:
            before = places.found(tx, target, address, {**self._places, target: place})
            self._places[target] = place
            return before

        return self.write(work)

    def end(self) -> None:
        """From now on nothing is committed under it."""
        self._ended = True

    def disown(self, transfers: Iterable[tuple[str, int]]) -> None:
        """After `end`: whoever hangs in one of these (target, clip) keeps its token for itself, so that the
        next generation never writes to, cuts or publishes the same partial."""
        self._disowned = self._catalog.write(lambda tx: deliveries.forget_tokens(tx, transfers))

    def disowned(self, target: str, clip: int) -> str:
        """The token of a transfer that only its hanging uploader may still clear away."""
        return self._disowned.get((target, clip), "")
