"""Whether the store is there at all: a disk that is not mounted, or does not answer, has lost no clip."""

import os

from agent import durable
from agent.catalog import Catalog, scrubs
from agent.catalog.home import catalog_path
from agent.ingest.store import Store

_WITNESSES = 8  # other clips that are asked, at most
_HEAD = 4096  # bytes


def there(catalog: Catalog, store: Store, clip: int) -> bool:
    """By another clip than this one that can be read, from the disk; where there is no other one, by the
    catalog that lies beside."""
    with catalog.reading() as db:
        others = scrubs.others(db, clip, _WITNESSES)
    if others:
        return any(_answers(store, key, size) for key, size in others)
    try:
        beside = catalog_path(store.root).stat()
        return beside.st_dev == store.clips.stat().st_dev
    except OSError:
        return False


def _answers(store: Store, key: str, size: int) -> bool:
    try:
        with durable.open_fd(store.path(key), os.O_RDONLY | os.O_NONBLOCK) as fd:
            durable.drop_cache(fd, 0, _HEAD)
            return os.fstat(fd).st_size == size and len(os.pread(fd, _HEAD, 0)) == min(size, _HEAD)
    except OSError:
        return False
