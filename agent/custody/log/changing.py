"""Opens the log, and carries out what a named person ordered of it: another log, or another key.

A key is changed in steps that follow from what is committed, so that it ends the same wherever it is cut off:

    1. the next key is on the disk, as key.next
    2. event `key-changed` is committed, with both keys
    3. the old log goes up to that event and no further; its last head is signed with both keys, in
       <n>/key-changed: a tlog-proof of that entry
    4. another log, signed by the new key alone, is committed
    5. the old key is overwritten, and the next one takes its place

While the order is there nothing else is signed: so no size of the old log ever gets another head.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent import durable
from agent.catalog import Catalog, door
from agent.custody.log import opening, orders, signer, tiles
from agent.custody.log.following import advance
from agent.custody.log.opening import Opened
from agent.custody.log.orders import Order
from agent.custody.log.shelf import Shelf, read_bundle
from agent.custody.log.signer import Signer
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import Key, KeyChange, Note, Proof
from agent.errors import Stop

FILE = "key-changed"  # in the folder of the old log


def opened(catalog: Catalog, folder: Path, station: str) -> Opened:
    """As `opening.open_log`, behind which nothing is ordered any more."""
    order = orders.pending(catalog.read())
    if order is not None and order.opened:
        _succeed(catalog, folder)
        order = None
    found = opening.open_log(catalog, folder, station)
    if order is None:
        return found
    if order.what == orders.BEGIN:
        name = found.signer.key.name
        return opening.begin(catalog, folder, name, found.signer, opening.RESTORED, order)
    return _rekey(catalog, folder, found, order)


def _rekey(catalog: Catalog, folder: Path, old: Opened, order: Order) -> Opened:
    shelf, ours = old.shelf, old.signer
    number, fresh = int(shelf.folder.name), signer.following(folder, ours.key.name)
    if order.log != number:
        order = catalog.write(lambda tx: _announce(tx, order, number, ours.key, fresh.key))
    while shelf.size < order.event and advance(catalog, shelf, ours.sign, until=order.event):
        pass
    if shelf.size != order.event:
        raise Stop("log-gap", log=str(number), event=order.event)
    # Not written where it will lie: an audit would find its first half there, strange after a kill.
    durable.write_file(folder / FILE, _signed_by_both(shelf, ours, fresh))
    (folder / FILE).replace(shelf.folder / FILE)
    durable.sync_folder(shelf.folder)
    made = opening.begin(catalog, folder, ours.key.name, fresh, opening.REKEYED, order)
    _succeed(catalog, folder)
    return made


def _announce(tx: Any, order: Order, log: int, old: Key, new: Key) -> Order:
    event = door.note(tx, FILE, None, {"log": log, "old": old.vkey, "new": new.vkey, **order.said})
    order = replace(order, log=log, event=event)
    orders.put(tx, order)
    return order


def _signed_by_both(shelf: Shelf, old: Signer, new: Signer) -> bytes:
    index, text = shelf.size - 1, shelf.head.text
    entry = read_bundle(shelf.folder, index // WIDTH)[index % WIDTH]
    note = Note(text, (*old.sign(text).signatures, *new.sign(text).signatures))
    data = Proof(index, tuple(tiles.inclusion(index, shelf.size, shelf.read)), note, entry).data
    KeyChange.parse(data)  # a false one would be there for ever
    return data


def _succeed(catalog: Catalog, folder: Path) -> None:
    signer.succeed(folder)
    catalog.write(orders.done)
