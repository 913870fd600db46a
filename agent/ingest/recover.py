"""After a crash, and after an error in the middle of a batch: bring copies to a state that is true."""

import logging

from agent.catalog import Catalog, documents, intake, queries
from agent.errors import StoreFull
from agent.ingest.store import Store
from agent.model import ClipState

log = logging.getLogger(__name__)


def recover(catalog: Catalog, store: Store) -> None:
    """At the start, before anything docks: settle what was in the middle, sweep what nobody waits for."""
    settle(catalog, store, [clip for clip, _, _ in queries.in_state(catalog.read(), ClipState.COPYING)])
    db = catalog.read()
    for twin in intake.twins(db, store.on_their_way()):
        store.rewrite_sidecar(documents.stored_clip(db, twin))
    waiting = [
        clip
        for state in (ClipState.SEEN, ClipState.MISSING, ClipState.QUARANTINED)
        for clip, _, _ in queries.in_state(db, state)
    ]
    swept = store.sweep(waiting)
    catalog.write(intake.close_interrupted)
    if swept:
        log.info("swept %d leftover files", swept)


def settle(catalog: Catalog, store: Store, clips: list[int]) -> None:
    """A clip that is described was verified from the disk before; it only lacks its name. The others
    go back and are resumed at the next docking."""
    described = {clip for clip, key, _ in queries.in_state(catalog.read(), ClipState.COPYING) if key}
    for clip in clips:
        if clip in described and _finish(catalog, store, clip):
            continue
        catalog.write(lambda tx, clip=clip: intake.give_back(tx, clip, "interrupted"))  # type: ignore[misc]


def _finish(catalog: Catalog, store: Store, clip: int) -> bool:
    stored = documents.stored_clip(catalog.read(), clip)
    places = (store.partial(clip), store.path(stored.key))
    if not any(path.exists() and path.stat().st_size == stored.manifest.size for path in places):
        log.error("clip %d was verified, but its copy is gone: it will be copied again", clip)
        return False
    try:
        store.seal([stored])
    except (OSError, StoreFull) as error:
        # A full or failing disk must not keep the agent from starting. The bytes stay where they are: the
        # next docking finds them in `incoming`, or under this very key, and reads them again.
        log.error("clip %d was verified, but cannot get its name: %s", clip, error)
        return False
    catalog.write(lambda tx: intake.store(tx, [clip]))
    return True
