"""Looks through the catalog after an unclean stop, behind the back of all that works already."""

import logging
import threading

from agent.catalog.database import Catalog

log = logging.getLogger(__name__)


class CatalogCheck:
    """Nothing is released or erased while `checking()` or with `damage()`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._done = threading.Event()
        self._damage: list[str] = []

    def start(self) -> None:
        if self._catalog.unclean:
            threading.Thread(target=self._run, name="catalog-check", daemon=True).start()
        else:
            self._done.set()

    def checking(self) -> bool:
        return not self._done.is_set()

    def damage(self) -> list[str]:
        return list(self._damage)

    def _run(self) -> None:
        self._damage = self._catalog.quick_check()
        for line in self._damage:
            log.critical("catalog damaged: %s", line)
        self._done.set()
