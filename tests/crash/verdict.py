"""The last judgement: what recorders held, against what lies at the centre and on the station. Nothing
that the agent says is believed; its catalog is compared with the files."""

import contextlib
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.catalog import documents
from agent.catalog.home import catalog_path
from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.model import TRANSITIONS, ClipState
from agent.upload.targets.folder import MARK
from tests.crash.rack import Contents, clip_files, digest

OF_THE_STORE = {"agent.lock", "catalog", "clips", "custody", "incoming", "quarantine", "station-id"}
OF_THE_CENTRE = {MARK, "clips", "incoming", "stations"}


def faults(store: Path, centre: Path, recorders: Mapping[str, Contents]) -> list[str]:
    """Everything that is not as it must be once all is confirmed and the agent has stopped."""
    found = [*_kept("the centre", centre, recorders), *_kept("the store", store, recorders)]
    found += _leftovers(store, centre)
    found += _log(store)
    with contextlib.closing(sqlite3.connect(f"file:{catalog_path(store)}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        for number, contents in recorders.items():
            found += _known(db, number, contents)
        found += _walks(db)
        found += _sidecars(db, store)
        found += _loose_ends(db)
    return found


def _kept(where: str, folder: Path, recorders: Mapping[str, Contents]) -> Iterator[str]:
    """Each content of each recorder lies there once, byte for byte, with its document beside it."""
    there = _names(folder / "clips")
    if there - recorders.keys():
        yield f"{where} has recorders that never were: {there - recorders.keys()}"
    for number, contents in recorders.items():
        files = {path: digest(path) for path in clip_files(folder / "clips" / number)}
        have, want = Counter(files.values()), contents.clips()
        if have != want:
            yield f"{where}: {number} lacks {dict(want - have)} and has besides {dict(have - want)}"
        for path, sha256 in files.items():
            document = json.loads(path.with_name(path.name + ".json").read_bytes())
            if (document["sha256"], document["size"]) != (sha256, path.stat().st_size):
                yield f"{where}: the document beside {path} tells of something else"
        documents_there = len(list((folder / "clips" / number).rglob("*.json")))
        if documents_there != len(files):
            yield f"{where}: {documents_there} documents beside {len(files)} clips of {number}"


def _leftovers(store: Path, centre: Path) -> Iterator[str]:
    """Of a document that a station was laying as it was cut off, a file is left that the sweep takes an hour
    later. Of a clip nothing is ever left: who sent it goes on."""
    for folder in (store / "incoming", store / "quarantine", centre / "incoming"):
        if left := sorted(name for name in _names(folder) if not name.endswith(".document")):
            yield f"left in {folder}: {left}"
    for root, own in ((store, OF_THE_STORE), (centre, OF_THE_CENTRE)):
        if left := sorted(_names(root) - own):
            yield f"left in {root}: {left}"
        if left := sorted(str(path) for path in root.rglob("*.tmp")):
            yield f"left: {left}"


def _log(store: Path) -> Iterator[str]:
    """All that happened is in the log, signed, and every head that ever was goes on from the one before."""
    for finding in audit(store, Looked(), now=math.inf):
        yield f"the log: {finding.key} {dict(finding.params)}"


def _known(db: sqlite3.Connection, number: str, contents: Contents) -> Iterator[str]:
    """The catalog knows every file by its name, and one confirmed clip for each content."""
    rows = db.execute(
        "SELECT id, state, lower(hex(sha256)) AS sha256, important, merged_into FROM clips"
        " WHERE recorder = ?",
        (number,),
    ).fetchall()
    confirmed = {row["id"]: row for row in rows if row["state"] == ClipState.CONFIRMED}
    if Counter(row["sha256"] for row in confirmed.values()) != contents.clips():
        yield f"the catalog does not have each content of {number} confirmed once"
    for row in rows:
        if row["id"] not in confirmed and row["merged_into"] not in confirmed:
            yield f"clip {row['id']} of {number} ends as {row['state']}"
    names = {
        row["path"].decode(): row["clip"]
        for row in db.execute("SELECT path, clip FROM names WHERE recorder = ?", (number,))
    }
    if names.keys() != contents.files.keys():
        yield f"{number}: names that differ: {names.keys() ^ contents.files.keys()}"
    for path, clip in names.items():
        if clip not in confirmed or confirmed[clip]["sha256"] != contents.files.get(path):
            yield f"{number}: {path} is not what clip {clip} holds"
        elif path in contents.important and not confirmed[clip]["important"]:
            yield f"{number}: {path} is important, clip {clip} is not"


def _walks(db: sqlite3.Connection) -> Iterator[str]:
    """The events of each clip are a way through the transitions that ends at its state."""
    state: dict[int, ClipState] = {}
    for row in db.execute("SELECT seq, clip, body FROM events WHERE clip IS NOT NULL ORDER BY seq"):
        body = json.loads(row["body"])
        if "to" not in body:
            continue
        before, new = state.get(row["clip"]), ClipState(body["to"])
        if body["from"] != before or (before and new not in TRANSITIONS[before]):
            yield f"event {row['seq']}: clip {row['clip']} goes from {before} ({body['from']}) to {new}"
        state[row["clip"]] = new
    if dict(db.execute("SELECT id, state FROM clips").fetchall()) != state:
        yield "the events end in other states than the clips are in"


def _sidecars(db: sqlite3.Connection, store: Path) -> Iterator[str]:
    """A lost catalog is rebuilt from them: they must tell what it knows."""
    for row in db.execute("SELECT id, key FROM clips WHERE state = 'confirmed'").fetchall():
        wanted = documents.stored_clip(db, row["id"]).document
        if json.loads((store / "clips" / (row["key"] + ".json")).read_bytes()) != wanted:
            yield f"the sidecar of clip {row['id']} tells something else than the catalog: {wanted}"


def _loose_ends(db: sqlite3.Connection) -> Iterator[str]:
    for row in db.execute("SELECT clip, target, state, receipt FROM deliveries"):
        if row["state"] != "confirmed" or not row["receipt"]:
            yield f"the delivery of clip {row['clip']} to {row['target']} ends as {row['state']}"
    open_ones = db.execute("SELECT count(*) FROM dockings WHERE ended IS NULL").fetchone()[0]
    if open_ones:
        yield f"{open_ones} dockings never ended"


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
