"""Makes an evidence package: a BagIt folder with clips, their proofs, and the file that checks it.

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
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from agent import durable
from agent.catalog import chosen, clocks, findings
from agent.catalog.chosen import Clip
from agent.custody import anchors, handed, national, package, verdict, verifier
from agent.custody.clocks import ledger
from agent.custody.clocks.corrected import corrected
from agent.custody.evidence import cosigned, dockings, exported, report
from agent.custody.log import changing, opening, signer
from agent.custody.log.leaf import Event, entry
from agent.custody.log.reading import Log
from agent.custody.texts import Texts
from agent.errors import Reject, Stop
from agent.model import COLLECTED, ClipState

_LOCAL = COLLECTED - {ClipState.RELEASED}
_BLOCK = 1 << 20
_VERIFIER = (verifier, verdict, anchors, handed, national, package)  # each imports those before it
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
    entries: Mapping[int, bytes]  # every event of every clip, and those of their dockings
    clips: tuple[Clip, ...]
    not_here: tuple[Clip, ...]
    cosigned: tuple[cosigned.Kept, ...]
    sm3: bool  # kept of any of the clips

    @property
    def contents(self) -> str:
        return package.contents({path: file.sha256 for path, file in self.files.items()}, self.entries)


def plan(db: sqlite3.Connection, store: Path, origin: str, asked: Asked, both: report.Both) -> Plan:
    """As the catalog stands at one moment; `both` as the report takes it. Raises Reject, Stop."""
    db.execute("BEGIN")
    try:
        here, gone = _choose(db, store, asked)
        stories = {clip.id: [Event(*row) for row in chosen.story(db, clip.id)] for clip in here}
        recorders = sorted({clip.recorder for clip in here})
        found, clock = _findings(db, Texts(store), recorders), _clocks(db, recorders)
        sm3 = any(chosen.has_sm3(db, clip.id) for clip in here)
        times = [corrected(db, clip.id) for clip in here]
        brought = dockings.of_clips(db, here, stories)
        events = [event for story in stories.values() for event in story]
        events += [event for docking in brought for event in docking.events]
        entries = {event.seq: entry(event) for event in events}
        kept = cosigned.choose(db, store / "custody", origin.rpartition("/")[2], max(entries))
    finally:
        db.execute("COMMIT")
    files = dict[str, File]()
    for clip in here:
        _add(files, f"{package.CLIPS}{clip.key}", File(store / "clips" / str(clip.key), clip.sha256, clip.id))
        _add(
            files, f"{package.CLIPS}{clip.key}.json", _sidecar(store / "clips" / f"{clip.key}.json", clip.id)
        )
    told = {
        "format": 1,
        "log": origin,
        "case": asked.case,
        "clips": [{"clip": one.id, "key": one.key, "state": one.state} for one in here],
        "not_here": [{"clip": one.id, "state": one.state} for one in gone],
        "dockings": [one.told for one in brought],
    }
    shown = report.Facts(
        origin, asked.case, asked.name, asked.reason, [asdict(one) for one in here],
        [asdict(one) for one in gone], stories, found, clock, brought, times,
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
    return Plan(files, entries, tuple(here), tuple(gone), kept, sm3)


def write(
    plan: Plan, asked: Asked, log: Callable[[], Log], store: Path, to: Path, answer: Mapping[str, Any]
) -> None:
    """The package as the folder `to`, whole or not at all. `answer`: what the agent said of its event; `log`
    reads the log anew. Raises Stop, OSError; FileExistsError when there is something at `to`."""
    aside = Path(tempfile.mkdtemp(prefix=f".{to.name[:100]}.", dir=to.parent))
    try:
        for path, file in plan.files.items():
            _copy(aside / path, file)
        _prove(aside, plan, _covering(log, int(answer["event"])), int(answer["event"]))
        for digest in {str(answer["name"]), str(answer["reason"])}:
            _put(
                aside / f"{package.TEXTS}{digest}.json",
                (store / "custody/texts" / f"{digest}.json").read_bytes(),
            )
        _manifests(aside, asked, plan.sm3)
        aside.chmod(0o750)
        durable.sync_file_system(aside)
        for said in package.check(str(aside)):
            if not said.holds:
                raise Stop("export-not-whole", reason=said.en)
        durable.rename_noreplace(aside, to)
        durable.sync_folder(to.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # where it has its name there is nothing here any more


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


def _choose(db: sqlite3.Connection, store: Path, asked: Asked) -> tuple[list[Clip], list[Clip]]:
    """Those whose copy is in the store, and the others."""
    clips = chosen.by_id(db, asked.clips) if asked.clips else []
    if asked.officer or asked.since or asked.until:
        some = {one.id for one in clips}
        most = exported.MOST + 1
        found = chosen.by_facts(db, asked.officer, asked.since, asked.until, most)
        clips = [one for one in found if not asked.clips or one.id in some]
    if len(clips) > exported.MOST:
        raise Reject("export-too-many", most=exported.MOST)
    here, gone = list[Clip](), list[Clip]()
    for one in clips:
        there = one.state in _LOCAL and one.key and (store / "clips" / one.key).exists()
        (here if there else gone).append(one)
    if not here:
        raise Reject("export-nothing", clips=[one.id for one in gone])
    return here, gone


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


def _sidecar(path: Path, clip: int) -> File:
    try:
        return File(path, hashlib.sha256(path.read_bytes()).hexdigest(), clip)
    except OSError as error:
        raise Stop(
            "export-differs", clip=clip, file=str(path), reason=error.strerror or str(error)
        ) from error


def _add(files: dict[str, File], path: str, file: File) -> None:
    """A name is never taken twice, and never leads out of the package."""
    try:
        package.decoded(package.encoded(path))
    except verifier.Invalid as error:
        raise Stop("export-name-odd", clip=file.clip, file=path) from error
    if path in files:
        raise Stop("export-name-taken", clip=file.clip, file=path)
    files[path] = file


def _copy(to: Path, file: File) -> None:
    if isinstance(file.source, bytes):
        _put(to, file.source)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        source = os.open(file.source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _differs(file, error.strerror or str(error)) from error
    with os.fdopen(source, "rb") as reader, to.open("xb") as writer:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise _differs(file, "no file")
        while block := reader.read(_BLOCK):
            digest.update(block)
            writer.write(block)
    if digest.hexdigest() != file.sha256:
        raise _differs(file, f"SHA-256 {digest.hexdigest()} ≠ {file.sha256}")


def _differs(file: File, reason: str) -> Stop:
    return Stop("export-differs", clip=file.clip, file=str(file.source), reason=reason)


def _put(to: Path, data: bytes) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("xb") as file:
        file.write(data)


def _covering(log: Callable[[], Log], seq: int) -> Log:
    """The log under a head that has event `seq`."""
    until = time.monotonic() + _SIGNED_WITHIN
    while (now := log()).head.size < seq:
        if time.monotonic() > until:
            raise Stop("not-signed-yet", event=seq)
        time.sleep(0.1)
    return now


def _prove(folder: Path, plan: Plan, log: Log, export: int) -> None:
    for seq in (*plan.entries, export):
        proof = log.proof(seq - 1)
        if proof.extra != plan.entries.get(seq, proof.extra):
            raise Stop("log-unreadable", log=log.folder.name, reason=f"event {seq} is another in the catalog")
        _put(folder / f"{package.LOG}{seq}.proof", proof.data)
    _put(folder / package.KEY, f"{log.key.vkey}\n".encode())
    _put(folder / package.HEAD, log.note.data)
    for head in cosigned.prove(plan.cosigned, log):
        _put(folder / head.path, head.data)


def _manifests(folder: Path, asked: Asked, sm3: bool) -> None:
    found, second = dict[str, tuple[str, int]](), dict[str, str]()
    for path, _ in package.walk(str(folder)):
        digest = national.sm3() if sm3 else None  # None as well where this Python has none
        found[path] = package.digest_of(f"{folder}/{path}", digest)
        second.update({path: digest.hexdigest()} if digest else {})
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
        _put(folder / tag, data)
    digests = {tag: hashlib.sha256(data).hexdigest() for tag, data in tags.items()}
    _put(folder / package.TAGS, package.manifest(digests))


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
