"""Whatever is altered in catalog, entries, tiles, heads or keys: the audit names it, with its place."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.catalog import Catalog, door, events, intake
from agent.cli import app
from agent.custody.audit.finding import Finding, Looked
from agent.custody.audit.store import audit
from agent.custody.log import signer, tiles
from agent.custody.log.leaf import Event, entry
from agent.custody.log.shelf import Shelf
from agent.custody.verifier import Head, Note
from agent.errors import CatalogError
from agent.model import ClipState, Identity, SourceClip
from agent.words import LANGUAGES, words
from tests.custody_house import STATION, House, house, meddle

NOBODY = 54321  # a user that no machine has a name for
LATER = 4e9  # when the audit happens: no event is too young to be in the log
ORIGIN = f"station/{STATION}/2"


def clip(catalog: Catalog) -> None:
    who = Identity("8888888", True, "AAAA-BBBB")
    docking = catalog.write(lambda tx: intake.begin_docking(tx, "A1", who))
    seen = catalog.write(lambda tx: intake.see(tx, docking, who, [SourceClip("DCIM/a.mp4", 100, 5)]))[0]
    catalog.write(lambda tx: door.change(tx, seen, ClipState.SEEN, ClipState.COPYING))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station whose key was lost once: log 1 has about 600 entries, log 2 about 1900, in four heads."""
    store = tmp_path_factory.mktemp("whole")
    with house(store) as before:
        clip(before.catalog)
        before.happen(600)
        before.log()
    (store / "custody" / "key").unlink()
    with house(store) as after:
        after.log()
        for count in (100, 900, 300):
            after.happen(count)
            after.log()
    return store


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "store")


def found(store: Path) -> list[Finding]:
    return list(audit(store, Looked(), LATER))


def file(path: str) -> Callable[[Callable[[bytes], bytes]], Callable[[Path], None]]:
    """A file of the custody folder, altered."""

    def altered(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        def tamper(store: Path) -> None:
            there = store / "custody" / path
            there.write_bytes(change(there.read_bytes() if there.exists() else b""))

        return tamper

    return altered


def sql(*statements: str) -> Callable[[Path], None]:
    return lambda store: meddle(store, *statements)


def remove(path: str) -> Callable[[Path], None]:
    def tamper(store: Path) -> None:
        there = store / "custody" / path
        shutil.rmtree(there) if there.is_dir() else there.unlink()

    return tamper


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: (
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else flip(len(data) + at)(data)
    )


def entries(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: tiles.bundle(change(list(tiles.unbundle(data))))


def notes(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    def altered(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        return b"".join(change([b"".join(lines[at : at + 5]) for at in range(0, len(lines), 5)]))

    return altered


def signed(store: Path, head: Head) -> bytes:
    """By the station's own key, as somebody with the whole disk could."""
    ours = signer.load(store / "custody", f"station/{STATION}")
    assert ours is not None
    return ours.sign(head.text).data


def sign_more(make: Callable[[Head], Head]) -> Callable[[Path], None]:
    def tamper(store: Path) -> None:
        path = store / "custody/2/heads"
        last = Note.parse(b"".join(path.read_bytes().splitlines(keepends=True)[-5:]))
        with path.open("ab") as heads:
            heads.write(signed(store, make(Head.parse(last.text))))

    return tamper


def rewrite(store: Path) -> None:
    """A row altered, and the whole log made anew from it with the station's own key; the old heads stay."""
    meddle(store, 'UPDATE events SET body = \'{"officer":"another"}\' WHERE seq = 700')
    log = store / "custody/2"
    heads = (log / "heads").read_bytes()
    ours = signer.load(store / "custody", f"station/{STATION}")
    assert ours is not None
    shutil.rmtree(log / "tile")
    (log / "heads").unlink()
    shelf = Shelf(log, ORIGIN, ours.key)
    catalog = Catalog.open(store / "catalog/catalog.db")
    rows = [entry(Event(*row)) for row in events.rows(catalog.read(), 1, 10**6)]
    catalog.close()
    while shelf.size < len(rows):
        shelf.append(rows[shelf.size : shelf.size + 1024])
        shelf.seal(ours.sign)
    (log / "heads").write_bytes(heads)


def another_key(store: Path) -> None:
    signer.make(store / "custody", f"station/{STATION}", "taken")


def resign(store: Path) -> None:
    """The last head signed by a key that is not the log's."""
    other = signer.Signer(bytes(32), f"station/{STATION}")
    path = store / "custody/2/heads"
    lines = path.read_bytes().splitlines(keepends=True)
    text = Note.parse(b"".join(lines[-5:])).text
    path.write_bytes(b"".join(lines[:-5]) + other.sign(text).data)


def link(store: Path) -> None:
    path = store / "custody/2/tile/0/000"
    path.rename(store / "elsewhere")
    path.symlink_to(store / "elsewhere")


BUNDLE, LAST_BUNDLE = "2/tile/entries/002", "2/tile/entries/007"
#: What is done → what must be among the findings.
TAMPERING: dict[str, tuple[Callable[[Path], object], str, dict[str, Any]]] = {
    # the catalog
    "an event's body": (
        sql("UPDATE events SET body = '{}' WHERE seq = 300"),
        "event-differs",
        {"event": 300, "log": "2"},
    ),
    "one letter of a body": (
        sql("UPDATE events SET body = replace(body, 'number', 'numbet') WHERE seq = 301"),
        "event-differs",
        {"event": 301},
    ),
    "a key twice in a body": (
        sql("UPDATE events SET body = '{\"number\":1,' || substr(body, 2) WHERE seq = 302"),
        "event-differs",
        {"event": 302},
    ),
    "an event's time": (
        sql("UPDATE events SET at = at - 0.001 WHERE seq = 3"),
        "event-differs",
        {"event": 3},
    ),
    "an event's kind": (sql("UPDATE events SET kind = 'x' WHERE seq = 4"), "event-differs", {"event": 4}),
    "an event's clip": (sql("UPDATE events SET clip = 9 WHERE seq = 5"), "event-differs", {"event": 5}),
    "an event's boot": (sql("UPDATE events SET boot_id = 'x' WHERE seq = 6"), "event-differs", {"event": 6}),
    "whether the clock was trusted": (
        sql("UPDATE events SET clock_trusted = 1 - clock_trusted WHERE seq = 7"),
        "event-differs",
        {"event": 7},
    ),
    "an event that is too long": (
        sql("UPDATE events SET kind = hex(zeroblob(40000)) WHERE seq = 8"),
        "event-differs",
        {"event": 8},
    ),
    "an event removed": (sql("DELETE FROM events WHERE seq = 400"), "event-missing", {"event": 400}),
    "many events removed": (
        sql("DELETE FROM events WHERE seq BETWEEN 400 AND 900"),
        "event-missing",
        {"event": 900},
    ),
    "the last event removed": (
        sql("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)"),
        "event-missing",
        {},
    ),
    "two events exchanged": (
        sql(
            "UPDATE events SET seq = -1 WHERE seq = 50",
            "UPDATE events SET seq = 50 WHERE seq = 51",
            "UPDATE events SET seq = 51 WHERE seq = -1",
        ),
        "event-differs",
        {"event": 51},
    ),
    "an event that does not count": (
        sql("INSERT INTO events SELECT 0, clip, kind, body, at, boot_id, clock_trusted FROM events LIMIT 1"),
        "event-strange",
        {"event": 0},
    ),
    "an event far ahead": (
        sql(
            "INSERT INTO events SELECT 9000, clip, kind, body, at, boot_id, clock_trusted FROM events LIMIT 1"
        ),
        "events-unsigned",
        {"event": 9000, "count": 1},
    ),
    "an event that was never logged": (
        sql("INSERT INTO events SELECT max(seq) + 1, NULL, 'x', '{}', 1, '', 0 FROM events"),
        "events-unsigned",
        {"count": 1},
    ),
    "a clip's state": (sql("UPDATE clips SET state = 'confirmed'"), "clip-differs", {"state": "confirmed"}),
    "a clip's event": (sql("UPDATE clips SET event = 1"), "clip-differs", {}),
    "a clip turned back": (
        sql("UPDATE clips SET state = 'seen', event = id"),
        "clip-differs",
        {"state": "seen"},
    ),
    "the number of the log": (
        sql("UPDATE meta SET value = '1' WHERE key = 'log'"),
        "log-unknown",
        {"log": 2},
    ),
    "the number of the log gone": (
        sql("DELETE FROM meta WHERE key = 'log'"),
        "opening-missing",
        {"opened": 2},
    ),
    "the opening of the log": (
        sql("UPDATE events SET body = '{}' WHERE kind = 'log-opened' AND seq > 1"),
        "opening-false",
        {},
    ),
    # entries
    "an entry altered": (file(BUNDLE)(flip(100)), "event-differs", {"event": 513}),
    "the last entry altered": (file(LAST_BUNDLE)(flip(-20)), "event-differs", {}),
    "an entry altered, heads named too": (
        file(BUNDLE)(flip(100)),
        "head-differs",
        {"place": "heads", "size": 606},
    ),
    "an entry altered, tiles named too": (
        file(BUNDLE)(flip(100)),
        "tile-differs",
        {"place": "tile/0/002", "hash": 0},
    ),
    "an entry removed": (
        file(BUNDLE)(entries(lambda all_: all_[:9] + all_[10:])),
        "entries-missing",
        {"place": "tile/entries/002", "there": 767},
    ),
    "an entry inserted": (
        file(BUNDLE)(entries(lambda all_: [*all_[:9], b"new", *all_[9:]])),
        "bundle-strange",
        {"place": "tile/entries/002"},
    ),
    "two entries exchanged": (
        file(BUNDLE)(entries(lambda all_: [all_[1], all_[0], *all_[2:]])),
        "event-differs",
        {"event": 514},
    ),
    "entries cut off": (
        file(LAST_BUNDLE)(lambda data: data[:-1]),
        "entries-missing",
        {"place": "tile/entries/007"},
    ),
    "a bundle removed": (remove(BUNDLE), "entries-missing", {"place": "tile/entries/002", "there": 512}),
    "bytes behind a full bundle": (file(BUNDLE)(lambda data: data + b"\0"), "bundle-strange", {}),
    "a length in a bundle": (file(BUNDLE)(flip(0)), "entries-missing", {}),
    "an entry of the old log": (
        file("1/tile/entries/001")(flip(100)),
        "event-differs",
        {"log": "1", "event": 257},
    ),
    # tiles
    "a hash altered": (file("2/tile/0/001")(flip(33)), "tile-differs", {"place": "tile/0/001", "hash": 1}),
    "a hash of a growing tile": (file("2/tile/0/007")(flip(0)), "tile-differs", {"place": "tile/0/007"}),
    "a hash above": (file("2/tile/1/000")(flip(64)), "tile-differs", {"place": "tile/1/000", "hash": 2}),
    "a tile cut off": (
        file("2/tile/0/001")(lambda data: data[:-1]),
        "tile-short",
        {"there": 255, "due": 256},
    ),
    "a tile removed": (remove("2/tile/0/001"), "tile-short", {"place": "tile/0/001", "there": 0}),
    "bytes behind a full tile": (file("2/tile/0/001")(lambda data: data + b"x"), "tile-long", {}),
    "a link in place of a tile": (link, "file-strange", {"place": "tile/0/000"}),
    "a tile too many": (file("2/tile/0/900")(lambda _: b"x"), "file-strange", {"place": "tile/0/900"}),
    "a file of somebody": (file("2/notes.txt")(lambda _: b"x"), "file-strange", {"place": "notes.txt"}),
    # heads
    "a head's size": (
        file("2/heads")(notes(lambda all_: [all_[0].replace(b"\n606\n", b"\n605\n"), *all_[1:]])),
        "head-false",
        {"line": 1},
    ),
    "a head's root": (
        file("2/heads")(notes(lambda all_: [flip(60)(all_[0]), *all_[1:]])),
        "head-false",
        {"line": 1},
    ),
    "a head's signature": (
        file("2/heads")(notes(lambda all_: [*all_[:2], flip(-9)(all_[2]), *all_[3:]])),
        "head-false",
        {"line": 11},
    ),
    "a head by another key": (resign, "head-false", {}),
    "a head of the other log": (
        lambda store: file("2/heads")(lambda data: data + (store / "custody/1/heads").read_bytes())(store),
        "head-false",
        {},
    ),
    "heads exchanged": (
        file("2/heads")(notes(lambda all_: [all_[1], all_[0], *all_[2:]])),
        "head-false",
        {"line": 6},
    ),
    "a size signed twice": (sign_more(lambda last: Head(ORIGIN, last.size, bytes(32))), "head-false", {}),
    "a head of entries that are not there": (
        sign_more(lambda last: Head(ORIGIN, last.size + 5, bytes(32))),
        "entries-missing",
        {},
    ),
    "a smaller head signed later": (sign_more(lambda last: Head(ORIGIN, 7, bytes(32))), "head-false", {}),
    "a line between heads": (
        file("2/heads")(notes(lambda all_: [all_[0], b"a line\n", *all_[1:]])),
        "head-false",
        {"line": 6},
    ),
    "a line behind heads": (file("2/heads")(lambda data: data + b"a line\n"), "head-false", {}),
    "the last head removed": (file("2/heads")(notes(lambda all_: all_[:-1])), "events-unsigned", {}),
    "all heads removed": (remove("2/heads"), "events-unsigned", {"event": 1}),
    "heads of the old log removed": (
        file("1/heads")(notes(lambda all_: all_[:-1])),
        "log-cut",
        {"log": 1, "there": 0},
    ),
    "a rewritten past": (rewrite, "head-differs", {"size": 706}),
    # keys and logs
    "the key of the log": (file("2/key.pub")(flip(-5)), "key-unreadable", {"log": 2, "place": "key.pub"}),
    "the key of the log exchanged": (
        lambda store: shutil.copy(store / "custody/1/key.pub", store / "custody/2/key.pub"),
        "key-differs",
        {"place": "2/key.pub"},
    ),
    "the key of the log gone": (remove("2/key.pub"), "key-unreadable", {"log": 2}),
    "the key of the old log": (
        lambda store: shutil.copy(store / "custody/2/key.pub", store / "custody/1/key.pub"),
        "key-differs",
        {"place": "1/key.pub"},
    ),
    "the published key": (
        lambda store: shutil.copy(store / "custody/1/key.pub", store / "custody/key.pub"),
        "key-differs",
        {"place": "key.pub"},
    ),
    "the published key gone": (remove("key.pub"), "key-differs", {"place": "key.pub"}),
    "the station's key": (another_key, "key-differs", {"place": "key"}),
    "the station's key open": (
        lambda store: (store / "custody/key").chmod(0o644),
        "key-open",
        {"place": "key", "mode": "0644"},
    ),
    "the log removed": (remove("2"), "log-missing", {"log": 2}),
    "the old log removed": (remove("1"), "log-missing", {"log": 1}),
    "a log more": (
        lambda store: shutil.copytree(store / "custody/1", store / "custody/3"),
        "log-unknown",
        {"log": 3},
    ),
}


def test_a_whole_station_is_whole(whole: Path) -> None:
    looked = Looked()
    assert list(audit(whole, looked, LATER)) == []
    assert looked.logs == 2
    assert looked.heads == 5
    assert looked.entries == 604 + looked.events


def test_there_are_at_least_forty_kinds_of_tampering() -> None:
    assert len(TAMPERING) >= 40


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_its_place_named(store: Path, what: str) -> None:
    tamper, key, params = TAMPERING[what]
    tamper(store)
    findings = found(store)
    fitting = [
        finding for finding in findings if finding.key == key and params.items() <= finding.params.items()
    ]
    assert fitting, findings


def test_every_finding_has_its_sentence_with_all_that_it_says(store: Path) -> None:
    for language in LANGUAGES:
        assert {key for _, key, _ in TAMPERING.values()} <= set(words(language)["audit"])


@pytest.fixture
def station(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


def test_a_station_that_has_not_begun_is_whole(station: House) -> None:
    assert found(station.store) == []


def test_an_audit_beside_a_running_agent_finds_nothing(station: House) -> None:
    station.keeper.start()
    for _ in range(20):
        station.happen(100)
        assert list(audit(station.store, Looked())) == []


def test_a_log_of_a_catalog_that_was_replaced_is_checked_by_itself(station: House) -> None:
    station.happen(300)
    station.log()
    station.leave()
    shutil.rmtree(station.store / "catalog")
    with house(station.store) as again:
        again.log()
    assert found(station.store) == []
    file("1/tile/entries/001")(entries(lambda all_: [b"{}", *all_[1:]]))(station.store)
    keys = [(finding.key, finding.params["log"]) for finding in found(station.store)]
    assert ("entry-false", "1") in keys
    file("1/heads")(lambda data: b"")(station.store)
    assert ("log-cut", 1) in [(finding.key, finding.params["log"]) for finding in found(station.store)]


def test_without_a_catalog_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        found(tmp_path)
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog/catalog.db").write_bytes(b"x" * 5000)
    with pytest.raises(CatalogError):
        found(tmp_path)


def test_a_copy_without_the_key_is_audited_where_nothing_can_be_written(whole: Path) -> None:
    with tempfile.TemporaryDirectory() as place:  # not below pytest's own folder, which is this user's alone
        copy = shutil.copytree(whole, Path(place) / "copy", ignore=lambda *_: ["key"])
        for path in [Path(place), copy, *copy.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        reader = multiprocessing.get_context("fork").Process(target=_audited_by_nobody, args=(copy,))
        reader.start()
        reader.join()
        assert reader.exitcode == 0
        for path in [Path(place), copy, *copy.rglob("*")]:
            path.chmod(0o755)


def _audited_by_nobody(store: Path) -> None:
    """Root could write all the same."""
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    assert not os.access(store / "catalog", os.W_OK)
    assert found(store) == []


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["log", "audit", *arguments])
    return result.exit_code, result.output


def test_the_command_says_in_both_languages_that_all_is_well(store: Path) -> None:
    code, text = run("--data", str(store), "--lang", "en")
    assert (code, text.startswith("All fits together: 2 logs, 5 signed heads")) == (0, True)
    code, text = run("--data", str(store), "--lang", "zh")
    assert (code, text.startswith("全部一致：2 个日志")) == (0, True)


def test_the_command_says_in_both_languages_what_is_wrong_and_where(store: Path) -> None:
    file(BUNDLE)(flip(100))(store)
    code, text = run("--data", str(store), "--lang", "en")
    assert code == 1
    assert "Catalog, event 513: it is not what log 2 says." in text
    assert text.splitlines()[-1] == "4 things are wrong."
    code, text = run("--data", str(store), "--lang", "zh")
    assert code == 1
    assert "目录库，事件 513：与日志 2 的记录不符" in text


def test_a_disaster_is_told_by_its_first_hundred_findings(store: Path) -> None:
    meddle(store, "UPDATE events SET boot_id = 'x'")
    code, text = run("--data", str(store), "--json")
    told = json.loads(text)
    assert (code, told["whole"], len(told["findings"])) == (1, False, 100)
    assert told["more"] > 1900
    code, text = run("--data", str(store), "--lang", "en")
    assert len(text.splitlines()) == 102


def test_the_command_says_when_there_is_nothing_to_audit(tmp_path: Path) -> None:
    code, text = run("--data", str(tmp_path), "--lang", "en")
    assert code == 1
    assert "cannot be opened" in text
