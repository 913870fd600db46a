"""The uploads under a configuration that changes while they run."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from agent.catalog import Catalog, deliveries
from agent.config import Config
from agent.model import Problem
from agent.upload.build import build
from agent.upload.scheduler import Uploads

log = logging.getLogger(__name__)

_STOP = 60.0  # seconds that uploads under other targets may take to leave their clip


class LiveUploads:
    """`store_path` gives the file of a key."""

    def __init__(self, catalog: Catalog, store_path: Callable[[str], Path]) -> None:
        self._catalog = catalog
        self._store_path = store_path
        self._lock = threading.Lock()
        self._uploads: Uploads | None = None
        self._applied: object = None

    def apply(self, config: Config) -> None:
        """Start, or start anew when targets or the number of uploaders are others than before."""
        wanted = (config.targets, config.upload)
        with self._lock:
            if wanted == self._applied:
                return
            if self._uploads is not None and not self._uploads.stop(_STOP):
                log.error("an upload under the former configuration hangs; the new one starts beside it")
            self._applied = wanted
            targets = build(config.targets, self._ever_used)
            self._uploads = Uploads(self._catalog, targets, self._store_path, workers=config.upload.uploaders)
            self._uploads.start()

    def notify(self) -> None:
        if (uploads := self._uploads) is not None:
            uploads.notify()

    def stop(self, timeout: float) -> bool:
        return self._uploads is None or self._uploads.stop(timeout)

    def beats(self) -> list[tuple[str, float, float]]:
        return [] if self._uploads is None else self._uploads.beats()

    def failing(self) -> dict[str, Problem]:
        """Targets that cannot take clips now, and why."""
        if self._uploads is None:
            return {}
        return {
            name: facts.problem
            for name, facts in self._uploads.facts().items()
            if facts.problem is not None and facts.breaker != "closed"
        }

    def _ever_used(self, target: str) -> bool:
        return deliveries.ever_used(self._catalog.read(), target)
