"""What a named person orders of the log: another key, signed by both; another log, for a restored copy."""

import base64
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.custody.log import changing, heads, leaving, ordering, orders, signer, told
from agent.custody.log.reading import Log
from agent.custody.log.signer import Signer
from agent.custody.texts import Texts
from agent.custody.verifier import Head, Invalid, KeyChange, Note, Proof, leaf_hash
from agent.errors import Reject
from agent.upload.report.log import highest
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import go_on
from agent.upload.targets.folder import FolderTarget
from tests.custody_house import STATION, House, house
from tests.uploading import Station

LATER = 4e9
SAID = {"person": "王伟", "reason": "年度更换"}


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """These keepers have no thread of their own."""
    monkeypatch.setattr(ordering, "_WAIT", 0.0)


def order(log: House, what: str, above: Callable[[int], int] = lambda number: number) -> None:
    command = ordering.commands(log.catalog, Texts(log.store), above)[f"log-{what}"]
    assert command(SAID, "uid 7") == {"log": 0}
    log.log()


def found(store: Path, heads: Path | None = None) -> set[str]:
    return {finding.key for finding in audit(store, Looked(), LATER, heads)}


def seed(store: Path) -> bytes:
    return base64.b64decode((store / "custody" / "key").read_bytes())


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A station whose key was changed, and the old one."""
    with pytest.MonkeyPatch.context() as patch, house(tmp_path_factory.mktemp("changed")) as log:
        patch.setattr(ordering, "_WAIT", 0.0)
        log.happen(600)
        log.log()
        old = seed(log.store)
        order(log, "rekey")
        log.happen(300)
        log.log()
        return log.store, old


@pytest.fixture
def store(changed: tuple[Path, bytes], tmp_path: Path) -> Path:
    return shutil.copytree(changed[0], tmp_path / "copy")


def test_a_change_of_the_key_is_signed_by_both_and_leads_from_one_to_the_other(
    changed: tuple[Path, bytes],
) -> None:
    store, old = changed
    change = KeyChange.parse((store / "custody" / "1" / changing.FILE).read_bytes())
    before, after = Log(store / "custody" / "1"), Log(store / "custody" / "2")
    assert (change.old, change.new) == (before.key, after.key)
    assert change.head == before.head
    assert [each.id for each in change.proof.note.signatures] == [change.old.id, change.new.id]
    body = json.loads(before.entry(before.head.size - 1))["body"]
    assert body["old"] == before.key.vkey
    assert set(body) == {"log", "old", "new", "name", "reason", "who"}
    assert after.head.size > before.head.size
    assert found(store) == set()
    with pytest.raises(Invalid):
        Head.checked(after.note, [before.key], after.origin)
    assert Signer(old, before.key.name).key == before.key


def test_the_old_key_is_gone_from_the_disk(changed: tuple[Path, bytes]) -> None:
    store, old = changed
    there = {path.name for path in (store / "custody").iterdir()}
    assert there == {"1", "2", "key", "key.pub", "texts"}
    for path in store.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert old not in data
            assert base64.b64encode(old) not in data


def test_an_order_says_who_and_why_beside_the_log_and_is_given_once(tmp_path: Path) -> None:
    with house(tmp_path) as log:
        command = ordering.commands(log.catalog, Texts(log.store), lambda number: number)["log-rekey"]
        with pytest.raises(Reject) as early:
            command(SAID, "uid 7")
        assert early.value.key == "no-log-yet"
        log.happen()
        log.log()
        for wrong in ({**SAID, "person": ""}, {**SAID, "reason": "x" * 501}):
            with pytest.raises(Reject) as refused:
                command(wrong, "uid 7")
            assert refused.value.key == "bad-parameter"
        command(SAID, "uid 7")
        with pytest.raises(Reject) as twice:
            command(SAID, "uid 7")
        assert twice.value.key == "log-order-waits"
        log.log()
        ((_, body),) = log.events("key-changed")
        texts = Texts(log.store)
        assert [texts.read(str(body[name])) for name in ("name", "reason")] == ["王伟", "年度更换"]
        assert log.problems() == []
        log = log.back()
        log.log()
        assert log.problems() == []
        log.leave()


def test_keys_are_changed_again_and_again(tmp_path: Path) -> None:
    with house(tmp_path) as log:
        for number in range(1, 5):
            log.happen(number)
            log.log()
            order(log, "rekey")
        assert found(log.store) == set()
        changes = [KeyChange.parse((log.custody / str(n) / changing.FILE).read_bytes()) for n in range(1, 5)]
        assert [one.new for one in changes[:-1]] == [one.old for one in changes[1:]]


def _last_words(store: Path, line: int) -> None:
    """An agent that carries the order out, and is gone at that line of it; 7 when it was done before."""
    place = str(Path(changing.__file__).parents[2])
    left = line

    def local(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(9)
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = Path(frame.f_code.co_filename)
        name = file.name
        return local if name in _LINES_OF and str(file).startswith(place) else None

    log = House(store)
    sys.settrace(trace)
    log.keeper.step()
    sys.settrace(None)
    os._exit(7)


_LINES_OF = ("changing.py", "signer.py", "opening.py", "orders.py", "durable.py", "following.py")


def signed(custody: Path) -> dict[tuple[str, int], bytes]:
    """Every head that was ever signed, with its root. Two of one size are an error."""
    made = dict[tuple[str, int], bytes]()
    for folder in (path.parent for path in custody.glob("[0-9]*/heads")):
        key = signer.published(folder / "key.pub")
        notes = [note for _, note in heads.walk(folder, f"{key.name}/{folder.name}")]
        if (folder / changing.FILE).exists():
            notes.append(Proof.parse((folder / changing.FILE).read_bytes()).note)
        for note in notes:
            assert isinstance(note, Note)
            head = Head.parse(note.text)
            assert made.setdefault((head.origin, head.size), head.root) == head.root
    return made


@pytest.mark.parametrize("what", ["rekey", "begin"])
def test_an_agent_killed_at_any_line_of_it_ends_the_same(tmp_path: Path, what: str) -> None:
    with house(tmp_path / "before") as log:
        log.happen(20)
        log.log()
        log.happen(3)
        command = ordering.commands(log.catalog, Texts(log.store), lambda number: number)[f"log-{what}"]
        command(SAID, "uid 7")
    context, line, killed = multiprocessing.get_context("fork"), 0, 0
    while True:
        store = shutil.copytree(tmp_path / "before", tmp_path / str(line))
        child = context.Process(target=_last_words, args=(store, line))
        child.start()
        child.join(60)
        assert child.exitcode in (7, 9)
        killed += child.exitcode == 9
        before = signed(store / "custody")
        assert found(store) <= {"events-unsigned"}
        with house(store) as again:
            again.log()
            again.happen(5)
            again.log()
            assert again.problems() == []
            assert orders.pending(again.catalog.read()) is None
            kinds = [len(again.events(kind)) for kind in ("key-changed", "log-opened")]
            assert kinds == [int(what == "rekey"), 2]
            assert found(store) == set()
            assert before.items() <= signed(again.custody).items()
            assert {path.name for path in again.custody.iterdir()} == {"1", "2", "key", "key.pub", "texts"}
        shutil.rmtree(store)
        if child.exitcode == 7:
            break
        line += 2  # nearly every call is a line of its own, with one before or behind it
    assert killed > 40


def both(store: Path, sign: Callable[[str], tuple[Any, ...]]) -> None:
    """The change, with other signatures under its head."""
    path = store / "custody" / "1" / changing.FILE
    proof = Proof.parse(path.read_bytes())
    note = Note(proof.note.text, sign(proof.note.text))
    path.write_bytes(Proof(proof.index, proof.hashes, note, proof.extra).data)


def keys(store: Path, old: bytes) -> tuple[Signer, Signer, Signer]:
    """The old one, the new one, and somebody else's."""
    name = f"station/{STATION}"
    return Signer(old, name), Signer(seed(store), name), Signer(bytes(32), name)


def by(*who: int) -> Callable[[Path, bytes], None]:
    def tamper(store: Path, old: bytes) -> None:
        signers = keys(store, old)
        both(store, lambda text: tuple(one for n in who for one in signers[n].sign(text).signatures))

    return tamper


def forged(store: Path, old: bytes) -> None:
    """The thief of the old key names his own as the next: signed by both, in a log of his own."""
    mine, _, other = keys(store, old)
    body = {"log": 1, "old": mine.key.vkey, "new": other.key.vkey}
    facts = {"at": "", "body": body, "boot": "", "clip": None, "clock": True, "kind": "key-changed", "seq": 1}
    entry = json.dumps(facts).encode()
    text = Head(f"station/{STATION}/1", 1, leaf_hash(entry)).text
    note = Note(text, (*mine.sign(text).signatures, *other.sign(text).signatures))
    data = Proof(0, (), note, entry).data
    assert KeyChange.parse(data)
    (store / "custody" / "1" / changing.FILE).write_bytes(data)


def replaced(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    def tamper(store: Path, old: bytes) -> None:
        path = store / "custody" / name
        path.write_bytes(change(path.read_bytes()))

    return tamper


TAMPERING: Mapping[str, tuple[Callable[[Path, bytes], object], set[str]]] = {
    "signed by the old key only": (by(0), {"change-false"}),
    "signed by the new key only": (by(1), {"change-false"}),
    "signed by a wrong key in place of the new one": (by(0, 2), {"change-false"}),
    "signed by a wrong key in place of the old one": (by(2, 1), {"change-false"}),
    "a change to another key, by who stole the old one": (forged, {"change-false"}),
    "the change removed": (lambda store, _: (store / "custody/1/key-changed").unlink(), {"change-false"}),
    "the change emptied": (replaced("1/key-changed", lambda data: b""), {"change-false"}),
    "a bit of the entry": (
        replaced("1/key-changed", lambda data: data.replace(b"extra ey", b"extra eX")),
        {"change-false"},
    ),
    "a change where there was none": (
        lambda store, _: (
            shutil.copy(store / "custody/1/key-changed", store / "custody/2/key-changed") and None
        ),
        {"change-false"},
    ),
    "the old log's key replaced by the new one": (
        lambda store, _: shutil.copy(store / "custody/2/key.pub", store / "custody/1/key.pub"),
        {"head-false", "key-differs", "change-false", "log-cut"},
    ),
    "the old key is the station's again": (
        lambda store, old: (store / "custody/key").write_bytes(base64.b64encode(old)),
        {"key-differs"},
    ),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_a_change_of_the_key_that_was_altered_is_named(
    store: Path, changed: tuple[Path, bytes], kind: str
) -> None:
    tamper, wrong = TAMPERING[kind]
    assert found(store) == set()
    tamper(store, changed[1])
    assert found(store) == wrong


# At the centre


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "uploads")
    made.run()  # the centre says who it is
    yield made
    made.close()


def report(uploads: Station, log: House) -> Report:
    def due(number: int, size: int) -> Iterator[leaving.Step]:
        return leaving.steps(log.custody, number, size, told.first(log.catalog.read()))

    author = Author(STATION, "one", dict, due, lambda: int(max(p.name for p in log.custody.glob("[0-9]*"))))
    target = uploads.targets["centre"]
    assert isinstance(target, FolderTarget)
    return Report(author, uploads.uploads.generation, target, go_on, uploads.clock)


def at_centre(uploads: Station) -> Path:
    return uploads.share / "stations" / STATION / "custody"


def test_what_leads_from_one_key_to_the_next_leaves_the_station(centre: Station, tmp_path: Path) -> None:
    with house(tmp_path / "store") as log:
        log.happen(300)
        log.log()
        telling = report(centre, log)
        telling.turn()
        order(log, "rekey")
        telling.turn()
        there = at_centre(centre)
        change = KeyChange.parse((there / "1" / changing.FILE).read_bytes())
        newest = Note.parse(max((there / "2" / "heads").iterdir()).read_bytes())
        assert Head.checked(newest, [change.new], f"station/{STATION}/2").size > change.head.size
        assert found(log.store, there) == set()
        assert not telling.written_by_two()


class Restored:
    """A station that went on after its disk was copied, and the copy of which lives now."""

    def __init__(self, centre: Station, root: Path, lost: int) -> None:
        """`lost`: how often the first one began another log before it was gone."""
        self.centre = centre
        with house(root / "store") as first:
            first.happen(300)
            first.log()
            report(centre, first).turn()
        shutil.copytree(root / "store", root / "old")
        shutil.copy(root / "uploads" / "catalog.db", root / "told.db")
        for _ in range(lost + 1):
            with house(root / "store") as first:
                first.happen(40)
                first.log()
                report(centre, first).turn()
            if _ < lost:
                (root / "store" / "custody" / "key").unlink()
        self.log = House(root / "old")
        self.log.catalog.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('log:centre:x', '[1, 301]')"))
        self.log.happen(5)
        self.log.log()
        self.uploads = Station(root / "again", centre.targets)
        self.uploads.run()
        self.report = report(self.uploads, self.log)

    def highest(self, number: int) -> int:
        target = self.centre.targets["centre"]
        assert isinstance(target, FolderTarget)
        return highest(STATION, target, number, go_on)

    def close(self) -> None:
        self.uploads.close()
        self.log.leave()


@pytest.mark.parametrize("lost", [0, 2])
def test_a_restored_station_begins_another_log_and_tells_the_centre_again(
    centre: Station, tmp_path: Path, lost: int
) -> None:
    restored = Restored(centre, tmp_path, lost)
    there = at_centre(centre)
    restored.report.turn()
    assert restored.report.written_by_two()
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    order(restored.log, "begin", restored.highest)
    number = lost + 2
    (_, (_, body)) = restored.log.events("log-opened")
    assert (body["log"], body["reason"]) == (number, "log-restored-copy")
    assert body["before"]["log"] == 1  # type: ignore[index]
    assert body["left"] == 301
    assert set(body["ordered"]) == {"name", "reason", "who"}  # type: ignore[call-overload]
    assert not restored.report.written_by_two()
    restored.log.happen(5)
    restored.log.log()
    restored.report.turn()
    assert not restored.report.written_by_two()
    now = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    assert before.items() <= now.items()  # nothing was taken back
    assert {path.relative_to(there).parts[0] for path in now.keys() - before.keys()} == {str(number)}
    head = Log(restored.log.custody / str(number)).head
    assert (there / str(number) / "heads" / f"{head.size:012}").exists()
    looked = Looked()
    assert list(audit(restored.log.store, looked, LATER, there)) == []
    assert looked.apart == lost + 1
    assert found(restored.log.store) == set()
    restored.close()


def test_what_had_left_before_the_copy_is_not_excused(centre: Station, tmp_path: Path) -> None:
    """Who rewrites the past and calls it an old copy is found by the heads that are known to have left."""
    restored = Restored(centre, tmp_path, 0)
    order(restored.log, "begin", restored.highest)
    aside = tmp_path / "heads" / "1" / "heads"
    aside.mkdir(parents=True)
    log = Log(restored.log.custody / "1")
    mine = signer.load(restored.log.custody, log.key.name)
    assert mine is not None
    (aside / "000000000290").write_bytes(mine.sign(Head(log.origin, 290, bytes(32)).text).data)
    assert found(restored.log.store, tmp_path / "heads") == {"elsewhere-differs"}
    stranger = Signer(bytes(32), log.key.name)
    (aside / "000000000290").write_bytes(stranger.sign(Head(log.origin, 900, bytes(32)).text).data)
    assert found(restored.log.store, tmp_path / "heads") == {"elsewhere-false"}
    restored.close()


# Heads that were taken away


@pytest.mark.parametrize("how", ["told", "carried"])
@pytest.mark.parametrize("keep", [0, 1])
def test_heads_that_left_and_are_gone_from_the_disk_are_told_once(
    tmp_path: Path, how: str, keep: int
) -> None:
    with house(tmp_path) as log:
        for count in (40, 3):
            log.happen(count)
            log.log()
        size = log.heads(1)[-1].size
        if how == "told":
            value = json.dumps([1, size])
            log.catalog.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('log:centre:x', ?)", (value,)))
        else:
            log.catalog.write(lambda tx: told.put_carried(tx, 1, [size]))
        whole = (log.custody / "1" / "heads").read_bytes().split(b"station/")
        kept = b"station/".join(whole[: 1 + 3 * keep])  # the name stands three times in a head
        log.leave()
        (log.custody / "1" / "heads").write_bytes(kept)
        log = House(tmp_path)
        log.log()
        assert log.problems() == ["log-heads-missing"]
        ((_, body),) = log.events("log-heads-missing")
        assert body == {"log": 1, "size": 41 * keep, "left": size}
        log = log.back()
        log.log()
        assert log.problems() == []
        assert len(log.events("log-heads-missing")) == 1
        assert found(log.store) == set()
        log.leave()


def test_heads_that_a_power_cut_took_had_never_left_and_are_no_news(tmp_path: Path) -> None:
    with house(tmp_path) as log:
        log.happen(40)
        log.log()
        size = log.heads(1)[-1].size
        value = json.dumps([1, size])
        log.catalog.write(lambda tx: tx.execute("INSERT INTO meta VALUES ('log:centre:x', ?)", (value,)))
        before = (log.custody / "1" / "heads").read_bytes()
        log.happen(3)
        log.log()
        log.leave()
        (log.custody / "1" / "heads").write_bytes(before)
        log = House(tmp_path)
        log.log()
        assert log.problems() == []
        assert log.events("log-heads-missing") == []
        log.leave()
