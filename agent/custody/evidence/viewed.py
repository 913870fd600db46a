"""A named person looks at one clip: at its story, or at the recording itself. Lists and polling are no view.

That it is viewed is committed first; what there is to see is given out behind that.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, chosen, door, rot, whole
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.custody.texts import Texts, text_of
from agent.errors import Reject, Stop
from agent.model import COLLECTED, ClipState

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
STORY, RECORDING = "story", "recording"
_LOCAL = COLLECTED - {ClipState.RELEASED}
_WRITTEN = ("name", "reason", "text")  # members of an entry that are digests of texts


def commands(catalog: Catalog, store: Path, texts: Texts) -> dict[str, Command]:
    """By name. `person` and `reason` are kept beside the log, as texts that can be erased."""

    def view(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        what, clip = arguments.get("what", STORY), _number(arguments.get("clip", ""))
        if what not in (STORY, RECORDING):
            raise Reject("bad-parameter", name="what", expected=f"{STORY}, {RECORDING}")
        said = {"name": text_of(arguments.get("person", ""), "person")}
        if arguments.get("reason", ""):
            said["reason"] = text_of(arguments["reason"], "reason")
        # What there is not is no view; and what is shown is as of behind the entry, and has that in it.
        if what == RECORDING:
            clip = _recording(catalog.read(), store, clip)["clip"]
        else:
            whole.story(catalog.read(), clip)
        # The texts first: an entry that speaks of one that was never kept could not be understood.
        try:
            kept = {name: texts.keep(text) for name, text in said.items()}
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error
        facts = {"clip": clip, "what": what, **kept, "who": who}
        seq = catalog.write(lambda tx: door.note(tx, "viewed", clip, facts))
        with catalog.reading() as db:
            shown = _recording(db, store, clip) if what == RECORDING else _story(db, store, texts, clip)
        return {"event": seq, **shown}

    return {"view": view}


def _recording(db: sqlite3.Connection, store: Path, clip: int) -> dict[str, Any]:
    """Of the one that it became, where it was merged. Raises Reject."""
    (one,) = chosen.by_id(db, [clip])
    if one.state not in _LOCAL or not one.key or not (store / "clips" / one.key).is_file():
        raise Reject("clip-not-here", clip=one.id, state=one.state)
    if rot.known(db, one.id):  # other bytes would be taken for the recording
        raise Reject("clip-not-here", clip=one.id, state="rotten")
    return {"clip": one.id, "key": one.key, "size": one.size, "sha256": one.sha256}


def _story(db: sqlite3.Connection, store: Path, texts: Texts, clip: int) -> dict[str, Any]:
    told = whole.story(db, clip)
    events = [{**one, "texts": _texts(one["body"], texts)} for one in told["events"]]
    found = [{**one, "explanation": texts.read(one.pop("text"))} for one in told["findings"]]
    files, log = _files(store, told["clip"]["key"]), _log(db, store)
    return {**told, "events": events, "findings": found, "files": files, "log": log}


def _texts(body: Any, texts: Texts) -> dict[str, str | None]:
    """What people wrote, of which an entry has the digests; None where it was erased."""
    written = {name: body[name] for name in _WRITTEN if isinstance(body.get(name), str) and body[name]}
    return {name: texts.read(digest) for name, digest in written.items()}


def _files(store: Path, key: str | None) -> list[dict[str, Any]]:
    """The recording and its sidecar, as they lie in the store; `bytes` is None for one that does not."""
    found = []
    for name in (key, f"{key}.json") if key else ():
        path = store / "clips" / name
        try:
            size = path.lstat().st_size
        except OSError:
            size = None
        found.append({"path": str(path), "bytes": size})
    return found


def _log(db: sqlite3.Connection, store: Path) -> dict[str, Any] | None:
    """The last head. Event `seq` is entry `seq - 1`; what is above `size` will be signed in a second."""
    try:
        head = Log(store / "custody" / opening.number_in(db)).head
    except Stop:
        return None  # none yet, or one that cannot be read: health tells why
    return {"origin": head.origin, "size": head.size, "root": head.root.hex()}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Reject("no-such-clip", clip=text)
    return int(text)
