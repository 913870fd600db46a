"""A lost catalog, made anew: its story from the log, its clips from the store.

The station is stopped meanwhile, and does not start without a catalog: until all of it is back, nothing is
released or erased. Of the log nothing changes but what a start changes, too: a tail that a power cut tore is
cut off.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.catalog import Catalog, door, home, meta, rebuild, restore
from agent.catalog.events import Event
from agent.catalog.progress import SILENT, Progress
from agent.catalog.rebuild import Rebuilt
from agent.custody.completeness.judge import Judge
from agent.custody.log import opening, saved
from agent.custody.log.leaf import moment
from agent.custody.log.saved import Saved, Unfit
from agent.model import Problem


@dataclass(slots=True)
class Done:
    clips: Rebuilt
    events: int  # that came back
    log: Problem  # what became of the log, and what it means
    old: Path | None  # where the catalog that was there is kept


def rebuild_store(store: Path, station: str, progress: Progress = SILENT) -> Done:
    """Make the catalog of `store` anew beside the one that is there, then put it in its place. `station`: the
    station's id. Killed at any line, it leaves the old catalog or the new one, whole.

    Raises CatalogError, Stop `log-key-open`, OSError."""
    try:
        return _rebuild(store, saved.find(store / "custody", station), progress)
    except Unfit as unfit:
        return _rebuild(store, None, progress, unfit)


def _rebuild(store: Path, log: Saved | None, progress: Progress, unfit: Unfit | None = None) -> Done:
    over = False
    with contextlib.closing(Catalog.open(home.begin(store))) as catalog:
        restored = restore.Restored()
        if log:
            restored = restore.restore(catalog, _counted(log, progress), progress)
            over = log.over or not _is_opened(catalog, log)
            catalog.write(lambda tx: meta.put(tx, opening.META, str(log.number)))
        clips = rebuild.rebuild(catalog, store / "clips", progress, restored.events)
        if log:
            restore.finish(catalog, restored)
            # Nothing is docked. It learns what the recorders had, and accuses none of what came before.
            Judge(catalog).step(math.inf)
        _note(catalog, log, unfit, restored, clips)
    if log and over:
        opening.end(log.folder)
    old = home.replace(store)
    return Done(clips, restored.events, _told(log, over, unfit), old)


def _counted(log: Saved, progress: Progress) -> Iterator[Event]:
    for event in log.events():
        progress.events(event.seq, log.head.size)
        yield event


def _is_opened(catalog: Catalog, log: Saved) -> bool:
    """One that began behind many events may have ended before it came to its own beginning."""
    rows = catalog.read().execute(
        "SELECT body FROM events WHERE kind = 'log-opened' ORDER BY seq DESC LIMIT 1"
    )
    return any(json.loads(row[0]).get("log") == log.number for row in rows.fetchall())


def _note(
    catalog: Catalog, log: Saved | None, unfit: Unfit | None, restored: restore.Restored, clips: Rebuilt
) -> None:
    """What happened between the last event that the log holds and this one is not known."""
    facts = {
        "log": log.number if log else None,
        "events": restored.events,
        "until": moment(restored.last) if restored.last is not None else None,
        "unused": restored.unused,
        "clips": clips.clips,
        "missing": clips.missing,
        "elsewhere": clips.elsewhere,
        "faults": len(clips.faults),
        "unfit": {"log": unfit.number, "reason": unfit.reason} if unfit else None,
    }
    catalog.write(lambda tx: door.note(tx, "catalog-rebuilt", None, facts))


def _told(log: Saved | None, over: bool, unfit: Unfit | None) -> Problem:
    if unfit is not None:
        return Problem("rebuilt-without-log", {"log": unfit.number, "reason": unfit.reason})
    if log is None:
        return Problem("rebuilt-no-log", {})
    facts = {"log": log.number, "events": log.head.size}
    if over:
        return Problem("rebuilt-log-over", facts)
    return Problem("rebuilt-log-key-lost" if log.key_lost else "rebuilt-log", facts)
