"""What an administrator may have custody do. Arguments are texts, as the narrow door takes them."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, door
from agent.custody.log import opening, signer, told, witness
from agent.custody.log.reading import Log
from agent.custody.log.witness import Carried, Witness
from agent.custody.verifier import Head, Invalid, Key, Note
from agent.errors import Reject, Stop

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
_CARRIED = 16  # earlier heads from which a carried one is proven to go on


def commands(catalog: Catalog, folder: Path, station: str) -> dict[str, Command]:
    """By name. `folder`: where the logs lie; `station`: its id at the centre."""

    def log() -> Log:
        return Log(folder / str(opening.number_of(catalog)))

    def carry(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        try:
            ours = log()
        except Stop as error:
            raise Reject("no-log-yet") from error
        number = int(ours.folder.name)
        before = told.carried(catalog.read(), number)
        carried = witness.carry(ours, before)
        sizes = [*(size for size in before if size != ours.head.size), ours.head.size][-_CARRIED:]
        facts = {"log": ours.folder.name, "size": ours.head.size, "root": ours.head.root.hex(), "who": who}

        def work(tx: Any) -> None:
            told.put_carried(tx, number, sizes)
            door.note(tx, "log-carried", None, facts)

        catalog.write(work)
        return {"text": carried.text, "size": ours.head.size}

    def countersign(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        ours = signer.load(folder, f"station/{station}")
        if ours is None:
            raise Reject("no-log-yet")
        try:
            carried = Carried.parse(arguments.get("text", ""))
            head = carried.head
            note = Witness(folder, ours).countersign(carried, int(time.time()))
        except Invalid as error:
            raise Reject("witness-false", origin="", reason=str(error)) from error
        except Reject as error:
            refused = {"reason": error.key, **error.params, "who": who}
            catalog.write(lambda tx: door.note(tx, "log-not-witnessed", None, refused))
            raise
        facts = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "key": carried.key.vkey}
        catalog.write(lambda tx: door.note(tx, "log-witnessed", None, {**facts, "who": who}))
        return {"text": note.data.decode(), "key": witness.cosigner(ours.key).vkey, "origin": head.origin}

    def keep(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        try:
            by, note = Key.parse(arguments.get("key", "")), Note.parse(arguments.get("text", "").encode())
            number = Head.parse(note.text).origin.rpartition("/")[2]
            ours = Log(folder / (number if number.isdigit() else "0"))
        except (Invalid, Stop) as error:
            raise Reject("cosigned-false", reason=str(error)) from error
        head, at = witness.keep(folder, ours, note, by)
        facts = {
            "log": number,
            "size": head.size,
            "root": head.root.hex(),
            "by": by.vkey,
            "at": at,
            "who": who,
        }

        def work(tx: Any) -> None:
            witness.remember(tx, number, by)
            door.note(tx, "log-countersigned", None, facts)

        catalog.write(work)
        return {"size": head.size, "by": by.name}

    return {"log-carry": carry, "log-witness": countersign, "log-keep": keep}
