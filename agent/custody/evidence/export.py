"""Makes an evidence package: a BagIt folder, or a zip of one, with clips, their proofs, and what checks it.

    data/clips/<key>  <key>.json        each clip, and its sidecar
    data/log/<seq>.proof  key.pub  head each event of each clip and its dockings, and that of the export,
                                        under one signed head
    data/log/cosigned/<size>-<id>       heads of this log that another station countersigned
    data/changes/<n>.proof              what leads from earlier keys of the station to this one
    data/texts/<digest>.json            who exported it, and why
    data/export.json  findings.json  clock.json  times.json  report.html  verify.py

What goes out is planned first, to the digest; then the log has it; then it is copied, compared with the plan,
checked by the package's own verifier, and gets its name.
"""

import ast
import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from agent.catalog import chosen, clocks, findings
from agent.catalog.chosen import Clip
from agent.catalog.documents import stored_clip
from agent.custody import anchors, box, handed, national, ordered, package, verdict, verifier
from agent.custody.clocks import ledger
from agent.custody.clocks.corrected import corrected
from agent.custody.evidence import asking, cosigned, dockings, exported, report
from agent.custody.evidence.gathering import Gathered
from agent.custody.evidence.packing import Packing
from agent.custody.log import changing, opening, signer
from agent.custody.log.leaf import Event, entry
from agent.custody.log.reading import Log
from agent.custody.texts import Texts
from agent.errors import Reject, Stop

_BLOCK = 1 << 20
_VERIFIER = (
    verifier,
    verdict,
    box,
    anchors,
    handed,
    ordered,
    national,
    package,
)  # each imports those before
_SIGNED_WITHIN = 30.0  # seconds; a head follows its commit within one


@dataclass(frozen=True, slots=True)
class Asked:
    """`since`, `until`: ISO 8601, by the recorder's clock."""

    name: str
    reason: str
    case: str = ""
    clips: tuple[int, ...] = ()
    officer: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class File:
    source: Path | bytes
    sha256: str
    clip: int = 0  # whose it is, for who reads that it differs


@dataclass(frozen=True, slots=True)
class Plan:
    files: Mapping[str, File]  # by path in the package
    entries: Mapping[int, bytes]  # of each clip, of their dockings, and of what the export came from
    clips: tuple[Clip, ...]
    asked: int  # the event
    cosigned: tuple[cosigned.Kept, ...]

    @property
    def contents(self) -> str:
        return package.contents({path: file.sha256 for path, file in self.files.items()}, self.entries)


def plan(
    db: sqlite3.Connection,
    store: Path,
    origin: str,
    asked: Asked,
    gathered: Gathered,
    ask: int,
    both: report.Both,
) -> Plan:
    """As the catalog stands at one moment. `ask`: the event; `both` as the report takes it. Raises Reject,
    Stop."""
    db.execute("BEGIN")
    try:
        here, gone = chosen.by_id(db, gathered.clips), chosen.by_id(db, gathered.missing)
        sidecars = {clip.id: _sidecar(db, store, clip) for clip in here}
        order = asking.of(db, ask)
        before = [Event(*row) for row in chosen.events(db, order.events)]
        approved = Texts(store).read(asking.approver(db, order)) or ""
        stories = {clip.id: [Event(*row) for row in chosen.story(db, clip.id)] for clip in here}
        recorders = sorted({clip.recorder for clip in here})
        found, clock = _findings(db, Texts(store), recorders), _clocks(db, recorders)
        times = [corrected(db, clip.id) for clip in here]
        brought = dockings.of_clips(db, here, stories)
        events = [event for story in stories.values() for event in story]
        events += [event for docking in brought for event in docking.events]
        # That it was asked for came a moment ago: no other station has a head with that.
        last = max(event.seq for event in events)
        kept = cosigned.choose(db, store / "custody", origin.rpartition("/")[2], last)
        entries = {event.seq: entry(event) for event in (*events, *before)}
    finally:
        db.execute("COMMIT")
    files = dict[str, File]()
    for clip in here:
        _add(files, f"{package.CLIPS}{clip.key}", File(store / "clips" / str(clip.key), clip.sha256, clip.id))
        _add(files, f"{package.CLIPS}{clip.key}.json", sidecars[clip.id])
    came = {clip.id: gathered.fetched.get(clip.id) for clip in here}
    left = {clip.id: _reasons(gathered, clip, both) for clip in gone}
    told = {
        "format": 1,
        "log": origin,
        "case": asked.case,
        "clips": [
            {"clip": one.id, "key": one.key, "state": one.state, "fetched_from": came[one.id]} for one in here
        ],
        "not_here": [{"clip": one.id, "state": one.state, "reasons": left[one.id]} for one in gone],
        "dockings": [one.told for one in brought],
    }
    shown = report.Facts(
        origin, asked.case, asked.name, asked.reason,
        [{**asdict(one), "fetched_from": came[one.id]} for one in here],
        [{**asdict(one), "reasons": left[one.id]} for one in gone], stories, found, clock, brought, times,
        approved,
    )  # fmt: skip
    made = {
        package.EXPORT: _json(told),
        "data/findings.json": _json(found),
        "data/clock.json": _json(clock),
        package.TIMES: _json([one.facts for one in times]),
        "data/report.html": report.html(shown, both).encode("utf-8", "backslashreplace"),
        "data/verify.py": verifier_file(),
    }
    made.update(_changes(store / "custody", origin))
    for path, data in made.items():
        _add(files, path, File(data, hashlib.sha256(data).hexdigest()))
    return Plan(files, entries, tuple(here), ask, kept)


def write(
    plan: Plan, asked: Asked, log: Callable[[], Log], store: Path, pack: Packing, answer: Mapping[str, Any]
) -> None:
    """What the plan has and `pack` has not yet. `answer`: what the agent said of its event; `log` reads the
    log anew. Raises Stop, OSError."""
    for path, file in plan.files.items():
        if path not in pack.digests:
            _copy(pack, path, file)
        if pack.digests[path][0] != file.sha256:
            raise _differs(file, f"SHA-256 {pack.digests[path][0]} ≠ {file.sha256}")
    _prove(pack, plan, _covering(log, int(answer["event"])), int(answer["event"]))
    for digest in sorted({str(answer[of]) for of in ("name", "reason", "approver")} - {""}):
        pack.put(f"{package.TEXTS}{digest}.json", (store / "custody/texts" / f"{digest}.json").read_bytes())
    _manifests(pack, asked)
    pack.finish()
    for said in package.check(str(pack.aside)):
        if not said.holds:
            raise Stop("export-not-whole", reason=said.en)


def verifier_file() -> bytes:
    """`verify.py`: its files as they are, in one; none needs an import of another any more."""
    return "\n\n".join(map(_alone, _VERIFIER)).encode()


def _alone(module: ModuleType) -> str:
    source = Path(module.__file__ or "").read_text("utf-8")
    lines, others = source.splitlines(keepends=True), {one.__name__ for one in _VERIFIER}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module in others:
            end = node.end_lineno or node.lineno
            lines[node.lineno - 1 : end] = ["\n"] * (end - node.lineno + 1)
    return "".join(lines)


def wants_sm3(db: sqlite3.Connection, clips: Iterable[Clip]) -> bool:
    """Whether it was taken of any of them when it was collected."""
    return any(chosen.has_sm3(db, clip.id) for clip in clips)


def choose(db: sqlite3.Connection, asked: Asked) -> list[Clip]:
    """Raises Reject."""
    clips = chosen.by_id(db, asked.clips) if asked.clips else []
    if asked.officer or asked.since or asked.until:
        some = {one.id for one in clips}
        most = exported.MOST + 1
        found = chosen.by_facts(db, asked.officer, asked.since, asked.until, most)
        clips = [one for one in found if not asked.clips or one.id in some]
    if len(clips) > exported.MOST:
        raise Reject("export-too-many", most=exported.MOST)
    if not clips:
        raise Reject("export-nothing")
    return clips


def _reasons(gathered: Gathered, clip: Clip, both: report.Both) -> list[dict[str, Any]]:
    """Why a clip is not in the package."""
    told = []
    for one in gathered.missing[clip.id]:
        zh, en = both("problems", one.key, one.params)
        told.append({"key": one.key, "params": dict(one.params), "zh": zh, "en": en})
    return told


def _findings(db: sqlite3.Connection, texts: Texts, recorders: Iterable[str]) -> list[dict[str, Any]]:
    rows = [row for recorder in recorders for row in findings.of_recorder(db, recorder)]
    return [{**row, "explanation": texts.read(row.pop("text"))} for row in rows]


def _clocks(db: sqlite3.Connection, recorders: Iterable[str]) -> list[dict[str, Any]]:
    compared = set(clocks.recorders(db))
    return [ledger.standing(db, one).facts for one in recorders if one in compared]


def _changes(folder: Path, origin: str) -> dict[str, bytes]:
    """What leads from the station's earlier keys to that of the log `origin`, as far as nothing broke."""
    found, number = dict[str, bytes](), int(origin.rpartition("/")[2])
    try:
        led = signer.published(folder / str(number) / "key.pub")
        for log in reversed([one for one in opening.numbers(folder) if one < number]):
            path = folder / str(log) / changing.FILE
            if path.exists():
                change = verifier.KeyChange.parse(data := path.read_bytes())
                if change.new != led:
                    break
                found[f"{anchors.CHANGES}{log}.proof"], led = data, change.old
    except verifier.Invalid as error:
        raise Stop("log-unreadable", log=str(number), reason=str(error)) from error
    return found


def _sidecar(db: sqlite3.Connection, store: Path, clip: Clip) -> File:
    """As it lies in the store; of a clip that is not there any more, or beside something else, anew."""
    path = store / "clips" / f"{clip.key}.json"
    try:
        data = path.read_bytes()
        said = verdict.parsed(data)
        if (said.get("key"), said.get("sha256"), said.get("size")) == (clip.key, clip.sha256, clip.size):
            return File(path, hashlib.sha256(data).hexdigest(), clip.id)
    except (OSError, verifier.Invalid):
        pass  # what it is to say, the catalog says, too
    data = _json(stored_clip(db, clip.id).document)
    return File(data, hashlib.sha256(data).hexdigest(), clip.id)


def _add(files: dict[str, File], path: str, file: File) -> None:
    """A name is never taken twice, and never leads out of the package."""
    try:
        package.decoded(package.encoded(path))
    except verifier.Invalid as error:
        raise Stop("export-name-odd", clip=file.clip, file=path) from error
    if path in files:
        raise Stop("export-name-taken", clip=file.clip, file=path)
    files[path] = file


def _copy(pack: Packing, path: str, file: File) -> None:
    if isinstance(file.source, bytes):
        pack.put(path, file.source)
    else:
        pack.copy(path, _blocks(file.source, file))


def _blocks(source: Path, file: File) -> Iterator[bytes]:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as reader:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _differs(file, "no file")
            while block := reader.read(_BLOCK):
                yield block
    except OSError as error:
        raise _differs(file, error.strerror or str(error)) from error


def _differs(file: File, reason: str) -> Stop:
    return Stop("export-differs", clip=file.clip, file=str(file.source), reason=reason)


def _covering(log: Callable[[], Log], seq: int) -> Log:
    """The log under a head that has event `seq`."""
    until = time.monotonic() + _SIGNED_WITHIN
    while (now := log()).head.size < seq:
        if time.monotonic() > until:
            raise Stop("not-signed-yet", event=seq)
        time.sleep(0.1)
    return now


def _prove(pack: Packing, plan: Plan, log: Log, export: int) -> None:
    for seq in (*plan.entries, export):
        proof = log.proof(seq - 1)
        if proof.extra != plan.entries.get(seq, proof.extra):
            raise Stop("log-unreadable", log=log.folder.name, reason=f"event {seq} is another in the catalog")
        pack.put(f"{package.LOG}{seq}.proof", proof.data)
    pack.put(package.KEY, f"{log.key.vkey}\n".encode())
    pack.put(package.HEAD, log.note.data)
    for head in cosigned.prove(plan.cosigned, log):
        pack.put(head.path, head.data)


def _manifests(pack: Packing, asked: Asked) -> None:
    found, second = dict(pack.digests), dict(pack.national)
    size = sum(length for _, length in found.values())
    info = [
        f"Bagging-Date: {time.strftime('%Y-%m-%d', time.gmtime())}",
        f"Payload-Oxum: {size}.{len(found)}",
        *([f"External-Identifier: {asked.case}"] if asked.case else []),
    ]
    tags = {
        "bagit.txt": package.BAGIT,
        "bag-info.txt": "".join(f"{line}\n" for line in info).encode(),
        package.MANIFEST: package.manifest({path: digest for path, (digest, _) in found.items()}),
        **({national.SM3: package.manifest(second)} if second else {}),
    }
    for tag, data in tags.items():
        pack.put(tag, data)
    pack.put(package.TAGS, package.manifest({tag: pack.digests[tag][0] for tag in tags}))


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
