"""Whether the store is there at all: a disk that is not mounted, or does not answer, has lost no clip."""

import os

from agent import durable
from agent.catalog import Catalog, scrubs
from agent.catalog.home import catalog_path
from agent.ingest.reread import Rot
from agent.ingest.store import Store

_WITNESSES = 8  # other clips that are asked, at most
_HEAD = 4096  # bytes
_SAYS_NOTHING = ("gone", "unreadable")  # so a disk that is not there shows every clip


def there(catalog: Catalog, store: Store, clip: int, rotten: Rot) -> bool:
    """By this clip itself, if something lies there; by another one of which anything can be read, from the
    disk; where there is no other one, by the catalog that lies beside."""
    if rotten.reason not in _SAYS_NOTHING:
        return True
    with catalog.reading() as db:
        others = scrubs.others(db, clip, _WITNESSES)
    if others:
        return any(_answers(store, key) for key in others)
    try:
        beside = catalog_path(store.root).stat()
        return beside.st_dev == store.clips.stat().st_dev
    except OSError:
        return False


def _answers(store: Store, key: str) -> bool:
    """A byte is enough: whether it is a good one is asked when its turn comes."""
    try:
        with durable.open_fd(store.path(key), os.O_RDONLY | os.O_NONBLOCK) as fd:
            durable.drop_cache(fd, 0, _HEAD)
            return bool(os.pread(fd, _HEAD, 0))
    except OSError:
        return False
