"""What sits at a port and brings nothing to collect: refused by the USB guard, there to be charged only, or
in a slot that is out of use.

It has no worker. Its slot shows it until it is pulled, and only while no recorder has the slot.
"""

import logging
from collections.abc import Set

from agent.dock.board import Board
from agent.dock.events import Bystander
from agent.model import printable

log = logging.getLogger(__name__)


class Bystanders:
    """Used by the dock's thread only."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._there: dict[str, tuple[str, Bystander]] = {}  # node -> (slot, what it is)
        self._shown: dict[str, Bystander] = {}  # by slot

    @property
    def slots(self) -> Set[str]:
        return {slot for slot, _ in self._there.values()}

    def arrived(self, slot: str, bystander: Bystander) -> None:
        level = logging.WARNING if bystander.refused else logging.INFO
        params = ", ".join(f"{name} {value}" for name, value in bystander.problem.params.items())
        log.log(level, "slot %s: %s: %s", slot, bystander.problem.key, printable(params))
        self._there[bystander.node] = slot, bystander

    def left(self, node: str) -> None:
        if there := self._there.pop(node, None):
            log.info("slot %s: %s is over", there[0], there[1].problem.key)

    def show(self, taken: Set[str]) -> None:
        """Bring the board up to date; slots in `taken` belong to somebody else."""
        now = dict(self._there.values())
        for slot in taken & self._shown.keys():
            del self._shown[slot]
        for slot in self._shown.keys() - now.keys():
            self._board.begin(slot)
            del self._shown[slot]
        for slot, bystander in now.items():
            if slot not in taken and self._shown.get(slot) != bystander:
                self._board.begin(slot, bystander.state, problems=(bystander.problem,))
                self._shown[slot] = bystander
