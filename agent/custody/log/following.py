"""The next batch of committed events becomes entries, under a head."""

from collections.abc import Callable

from agent.catalog import Catalog, events
from agent.custody.log.leaf import Event, entry
from agent.custody.log.shelf import BATCH, Shelf
from agent.custody.verifier import Note
from agent.errors import Stop

_READ = 128  # rows at a time
_LARGEST = 4 << 20  # bytes of entries in memory, and a row more


def advance(catalog: Catalog, shelf: Shelf, sign: Callable[[str], Note], until: int | None = None) -> bool:
    """Take over a batch and sign it, no event behind number `until`; whether there is more.

    Raises Stop `log-gap` when the catalog has no event of the next number."""
    batch, length, more = list[bytes](), 0, True
    while more and len(batch) < BATCH and length < _LARGEST:
        first = shelf.size + len(batch) + 1
        room = BATCH - len(batch) if until is None else min(BATCH - len(batch), until + 1 - first)
        rows = events.rows(catalog.read(), first, min(_READ, room)) if room > 0 else []
        for expected, row in enumerate(rows, first):
            if row[0] != expected:
                raise Stop("log-gap", log=shelf.folder.name, event=expected)
            batch.append(entry(Event(*row)))
            length += len(batch[-1])
        more = bool(rows)
    shelf.append(batch)
    shelf.seal(sign)
    return more
