"""Short receipts of dockings for the screens, which ask for the same one again and again."""

import threading
from collections import OrderedDict
from pathlib import Path

from agent.catalog import Catalog, handover
from agent.custody.evidence import receipts
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.errors import Reject, Stop

_KEPT = 64  # receipts: of all slots, and of those that were there just before


class Shown:
    """Thread-safe. `folder`: where the logs lie."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._catalog, self._folder = catalog, folder
        self._lock = threading.Lock()
        self._made: OrderedDict[int, str] = OrderedDict()

    def __call__(self, docking: int) -> str:
        """Of a docking that ended lately; "" while it goes on, or the log has not signed its end yet."""
        with self._lock:
            if docking not in self._made:
                try:
                    self._made[docking] = self._make(docking)
                except (Reject, Stop):
                    return ""
                while len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            return self._made[docking]

    def _make(self, docking: int) -> str:
        """Raises Reject, Stop."""
        with self._catalog.reading() as db:
            seq = handover.event_of_docking(db, docking)
        return receipts.short(Log(self._folder / str(opening.number_of(self._catalog))), seq).text
