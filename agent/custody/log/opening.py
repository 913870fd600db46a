"""Which log is the station's own, and whether it and the catalog tell the same story.

    custody/key, key.pub   the station's key
    custody/<n>/           log number n; the catalog knows the number of its own
    custody/<n>/over       another one begins instead of going on with it

A log goes on as long as catalog, files and key belong together. When one of them was lost, another log
begins, and says so in an entry, `log-opened`, that names what came before: a break that everybody can see.
Events are numbered by the catalog; so a log that begins in the middle has the earlier events in it, too,
and its `log-opened` behind them. A named person may order another log, too (agent.custody.log.changing).
"""

import logging
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import durable
from agent.catalog import Catalog, door, events, meta
from agent.custody.log import heads, orders, signer, tiles, told
from agent.custody.log.leaf import Event, entry
from agent.custody.log.orders import Order
from agent.custody.log.shelf import ENTRIES, Damaged, Shelf, read_bundle
from agent.custody.log.signer import Signer
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import Head, Invalid, Key, Note
from agent.errors import Stop
from agent.model import Problem

RESTORED, REKEYED = "log-restored-copy", "key-changed"  # why another log begins when that was ordered
META = "log"  # the key in the catalog under which the number of its log stands
#: In the folder of a log whose end may be lost: nobody goes on with it, since no size is signed twice.
OVER = "over"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opened:
    shelf: Shelf
    signer: Signer
    broke: (
        Problem | None
    )  # why another log began just now, or what was taken from this one; None: all is well


def open_log(catalog: Catalog, folder: Path, station: str) -> Opened:
    """The log of `catalog` below `folder`, signed in the name of the station with this id.

    Raises Stop with a key `log-…` when it cannot be gone on with, CatalogError, OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=0o750)
        durable.sync_folder(folder.parent)
    name = f"station/{station}"
    ours = signer.load(folder, name)
    number = number_of(catalog)
    if number and is_over(folder / str(number)):
        return begin(catalog, folder, name, ours, "log-lost")
    if number and (folder / str(number)).is_dir():
        key = _key_of(folder / str(number))
        if ours is not None and ours.key == key:
            shelf = Shelf(folder / str(number), f"{name}/{number}", key)
            _agree(catalog, shelf)
            return Opened(shelf, ours, _missing(catalog, shelf))
        same = ours is not None and ours.key.public == key.public
        return begin(catalog, folder, name, ours, "log-station-new" if same else "log-key-lost")
    kept = numbers(folder)
    why = "log-lost" if number else "log-catalog-new" if kept else ""
    return begin(catalog, folder, name, ours, why)


def number_of(catalog: Catalog) -> int:
    """0 when the catalog has no log yet."""
    return int(meta.get(catalog.read(), META) or 0)


def number_in(db: sqlite3.Connection) -> str:
    """As its folder is called; "0" when the catalog has no log yet: no folder is called so."""
    return meta.get(db, META) or "0"


def numbers(folder: Path) -> list[int]:
    """Of the logs that have anything in them, in their order. A folder without is what a crash left of a
    beginning."""
    found = (path for path in folder.iterdir() if _NUMBER.fullmatch(path.name) and path.is_dir())
    return sorted(
        int(path.name) for path in found if (path / heads.FILE).exists() or (path / "tile").exists()
    )


def is_over(log: Path) -> bool:
    return (log / OVER).exists()


def end(log: Path) -> None:
    """It is over; on the disk when this returns."""
    durable.write_file(log / OVER, b"")


def begin(
    catalog: Catalog, folder: Path, name: str, ours: Signer | None, why: str, order: Order | None = None
) -> Opened:
    """Key and folder first, then the commit that makes the log the catalog's own: a crash in between leaves
    a folder with nothing in it, and the next start begins the same log. `order`: who wanted it."""
    kept, former = numbers(folder), number_of(catalog)
    number = max([former, *kept, order.above if order else 0]) + 1
    ours = ours or signer.make(folder, name, f"before-{number}")
    signer.publish(folder / "key.pub", ours.key)
    log = folder / str(number)
    durable.make_folders(log, folder)
    signer.publish(log / "key.pub", ours.key)
    durable.sync_folder(folder)
    origin = f"{name}/{number}"
    facts = {
        "log": number,
        "origin": origin,
        "key": ours.key.vkey,
        "reason": why or "first",
        "before": _before(folder, max([former, *kept])) if why else None,
        **({"ordered": order.said} if order else {}),
    }
    catalog.write(lambda tx: _note(tx, number, why, facts, order))
    if why:
        _log.log(logging.WARNING if order else logging.ERROR, "another log begins: %s", facts)
    broke = Problem(why, {"log": number}) if why and not order else None
    return Opened(Shelf(log, origin, ours.key), ours, broke)


def _note(tx: Any, number: int, why: str, facts: dict[str, Any], order: Order | None) -> None:
    if why == "log-key-lost":
        before = facts["before"] or {}
        door.note(tx, why, None, {"log": before.get("log"), "key": before.get("key")})
    if why == RESTORED:
        facts = {**facts, "left": told.left(tx, facts["before"]["log"])}
        told.put_first(tx, number)
    door.note(tx, "log-opened", None, facts)
    meta.put(tx, META, str(number))
    if order is not None:
        orders.opened(tx, order)


def _before(folder: Path, number: int) -> dict[str, Any]:
    """What is left of the log that came before: its last head, and its key."""
    log = folder / str(number)
    facts: dict[str, Any] = {"log": number, "size": None, "root": None, "key": None}
    try:
        key = signer.published(log / "key.pub")
        facts["key"] = key.vkey
        _settle(log, key)
        head = Head.parse(Note.parse(heads.last(log)[0]).text)
    except (OSError, Invalid) as error:
        _log.error("of log %d there is no last head: %s", number, error)
        return facts
    return {**facts, "size": head.size, "root": head.root.hex()}


def _missing(catalog: Catalog, shelf: Shelf) -> Problem | None:
    """A head is on the disk before it leaves: one that is known to have left and is not here was taken away,
    by whomever. The entries are signed anew, and that is said."""
    number = int(shelf.folder.name)
    if (left := told.left(catalog.read(), number)) <= shelf.size:
        return None
    facts = {"log": number, "size": shelf.size, "left": left}
    catalog.write(lambda tx: door.note(tx, "log-heads-missing", None, facts))
    return Problem("log-heads-missing", facts)


def _settle(log: Path, key: Key) -> None:
    """Nobody opens it again: what a power cut left at its end is put in order now, else it would look altered
    for ever."""
    try:
        Shelf(log, f"{key.name}/{log.name}", key)
    except Damaged as error:
        _log.error("%s", error)  # stays as it is, for an audit to tell


def _key_of(log: Path) -> Key:
    try:
        return signer.published(log / "key.pub")
    except (FileNotFoundError, Invalid) as error:
        raise Damaged(log=log.name, place="key.pub", reason=str(error)) from error


def _agree(catalog: Catalog, shelf: Shelf) -> None:
    """By length and last entries: a start may not take longer with every year. `log audit` compares all."""
    size, last = shelf.size, events.last(catalog.read())
    if size > last:
        raise Stop("log-ahead", log=shelf.folder.name, entries=size, events=last)
    first, kept = _tail(shelf)
    known = {row[0]: row for row in events.rows(catalog.read(), first + 1, len(kept))}
    for number, data in enumerate(kept, first + 1):
        if number not in known or entry(Event(*known[number])) != data:
            raise Stop("log-differs", log=shelf.folder.name, event=number)


def _tail(shelf: Shelf) -> tuple[int, list[bytes]]:
    """Index of the first entry in the last bundle, and its entries."""
    n = max(0, shelf.size - 1) // WIDTH
    kept = read_bundle(shelf.folder, n)[: shelf.size - n * WIDTH]
    if len(kept) < shelf.size - n * WIDTH:
        raise Damaged(log=shelf.folder.name, place=tiles.path(ENTRIES, n), reason="entries are missing")
    return n * WIDTH, kept
