"""A receipt says what its entry says, and proves it, to somebody who has nothing but the station's key."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.catalog import handover, intake
from agent.cli import app
from agent.custody.evidence import receipts
from agent.custody.evidence.shown import Shown
from agent.custody.log import signer
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from agent.custody.verifier import Head, Invalid, Key, Proof, Receipt, Short
from agent.errors import Reject
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder, sent_again
from tests.uploading import WHO

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
FILES = {NAME.format(number): 1000 + number for number in range(1, 4)}


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


def log_of(side: Dockside) -> Log:
    """Everything that happened is in it."""
    keeper = Keeper(side.catalog, side.store.root / "custody", STATION)
    while keeper.step():
        pass
    return Log(side.store.root / "custody" / "1")


def docked(side: Dockside, folder: Path) -> int:
    side.dock(folder)
    return int(side.catalog.read().execute("SELECT max(id) FROM dockings").fetchone()[0])


def receipt_of(side: Dockside, docking: int) -> Receipt:
    return receipts.of_event(log_of(side), handover.event_of_docking(side.catalog.read(), docking))


def test_each_docking_is_found_among_all_others_whatever_it_brought(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recorder(tmp_path / "rec", FILES)
    dockings = [docked(side, first), docked(side, first)]  # the second one brings nothing
    dockings.append(docked(side, recorder(tmp_path / "other", {"DCIM/1.mp4": 10})))
    db = side.catalog.read()
    for near in (100_000, 0):  # 0: none is found where it is looked for first
        monkeypatch.setattr(handover, "_NEAR", near)
        for docking in dockings:
            seq = handover.event_of_docking(db, docking)
            kind, body = db.execute("SELECT kind, body FROM events WHERE seq = ?", (seq,)).fetchone()
            assert (kind, json.loads(body)["docking"]) == ("undocked", docking)


def test_a_docking_is_receipted_with_what_became_safe_in_it(side: Dockside, tmp_path: Path) -> None:
    receipt = receipt_of(side, docked(side, recorder(tmp_path / "rec", FILES)))
    digests = sorted(row["sha256"] for row in side.rows())
    root = hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
    for line in (
        f"station/{STATION}/1", "slot: A1", "recorder: 8888888", "clips: 3", "bytes: 3006", root,
        "2026-01-01T12:01:00", "2026-01-01T12:03:00",
    ):  # fmt: skip
        assert line in receipt.words, line


def test_who_has_the_receipt_and_the_key_needs_nothing_else(side: Dockside, tmp_path: Path) -> None:
    data = receipt_of(side, docked(side, recorder(tmp_path / "rec", FILES))).data
    key = Key.parse((side.store.root / "custody" / "key.pub").read_text().strip())
    head = Receipt.parse(data).check([key], f"station/{STATION}/1")
    assert head.size >= 1
    for path in FILES:  # nothing of the clips themselves, nor of any other docking
        assert path.encode() not in data
    with pytest.raises(Invalid):
        Receipt.parse(data).check([key], f"station/{STATION}/2")
    with pytest.raises(Invalid):
        Receipt.parse(data).check([signer.make(tmp_path, key.name, "x").key], f"station/{STATION}/1")


def test_whatever_is_altered_in_a_receipt_is_found_out(side: Dockside, tmp_path: Path) -> None:
    log = log_of(side)
    data = receipt_of(side, docked(side, recorder(tmp_path / "rec", FILES))).data
    for at in range(0, len(data), 7):
        altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(Invalid):
            Receipt.parse(altered).check([log.key], log.origin)
    for end in range(0, len(data), 11):
        with pytest.raises(Invalid):
            Receipt.parse(data[:end]).check([log.key], log.origin)


def test_only_what_this_docking_brought_is_on_its_receipt(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", FILES)
    first = docked(side, folder)
    recorder(tmp_path / "rec", {NAME.format(7): 500})
    other = docked(side, recorder(tmp_path / "other", {"DCIM/7777777_000002_20260101130000_0001.mp4": 900}))
    second = docked(side, folder)
    assert "clips: 3\n" in receipt_of(side, first).words
    assert "clips: 1\n" in receipt_of(side, second).words
    assert "bytes: 500\n" in receipt_of(side, second).words
    assert "recorder: 7777777\n" in receipt_of(side, other).words


def test_a_clip_that_a_target_lost_was_handed_over_once(side: Dockside, tmp_path: Path) -> None:
    """It goes back to `stored` while its recorder is docked for something else."""
    folder = recorder(tmp_path / "recorder", {"DCIM/8888888_000001_20260101120000_0001.mp4": 900})
    side.dock(folder)
    [clip] = [row["id"] for row in side.rows()]
    before = handover.event_of_clip(side.catalog.read(), clip)
    docking = side.catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
    side.catalog.write(lambda tx: sent_again(tx, clip))
    assert handover.collected(side.catalog.read(), docking)["clips"] == 0
    assert handover.event_of_clip(side.catalog.read(), clip) == before


def test_a_clip_has_a_receipt_of_its_own(side: Dockside, tmp_path: Path) -> None:
    docked(side, recorder(tmp_path / "rec", FILES))
    log = log_of(side)
    for row in side.rows():
        receipt = receipts.of_event(log, handover.event_of_clip(side.catalog.read(), row["id"]))
        assert row["sha256"] in receipt.words
        assert row["key"] in receipt.words
        receipt.check([log.key], log.origin)


def test_the_short_form_fits_a_code_and_proves_the_head(side: Dockside, tmp_path: Path) -> None:
    docking = docked(side, recorder(tmp_path / "rec", FILES))
    log = log_of(side)
    short = receipts.short(log, handover.event_of_docking(side.catalog.read(), docking))
    assert Short.parse(short.text) == short
    assert short.check(log.key) == log.head
    for other in (
        dataclasses.replace(short, size=short.size + 1),
        dataclasses.replace(short, index=short.size),
        dataclasses.replace(short, root=bytes(32)),
        dataclasses.replace(short, origin=short.origin + "0"),
    ):
        with pytest.raises(Invalid):
            other.check(log.key)
    largest = dataclasses.replace(short, origin=f"station/{'0' * 32}/999", index=10**8 - 2, size=10**8 - 1)
    assert len(largest.text.encode()) <= 200


@given(text=st.text(max_size=30), kind=st.text(max_size=5))
def test_no_name_of_a_recorder_writes_a_line_of_its_own(text: str, kind: str) -> None:
    entry = (
        b'{"at":"2026-01-01T00:00:00.000000Z","body":'
        + _json({"recorder": text})
        + b',"boot":"","clip":null,'
        b'"clock":true,"kind":' + _json(kind) + b',"seq":1}'
    )
    head = Head("station/1/1", 1, bytes(32))
    note = signer.Signer(bytes(32), "station/1").sign(head.text)
    receipt = Receipt(Proof(0, (), note, entry))
    assert len(receipt.words.splitlines()) == 5
    assert Receipt.parse(receipt.data) == receipt


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_what_is_not_signed_or_not_known_is_said(side: Dockside, tmp_path: Path) -> None:
    log = log_of(side)
    docking = docked(side, recorder(tmp_path / "rec", FILES))
    db = side.catalog.read()
    asked: dict[str, Callable[[], object]] = {
        "not-signed-yet": lambda: receipts.of_event(log, handover.event_of_docking(db, docking)),
        "no-such-docking": lambda: handover.event_of_docking(db, docking + 1),
        "no-such-slot": lambda: handover.event_of_slot(db, "Z9"),
        "clip-not-stored": lambda: handover.event_of_clip(db, 999_999),
    }
    for key, ask in asked.items():
        with pytest.raises(Reject) as raised:
            ask()
        assert raised.value.key == key


@pytest.mark.parametrize("what", [["A1"], ["--docking", "1"], ["--clip", "CLIP"], ["A1", "--short"]])
def test_the_command_prints_it(side: Dockside, tmp_path: Path, what: list[str]) -> None:
    docked(side, recorder(tmp_path / "rec", FILES))
    log = log_of(side)
    arguments = [str(side.rows()[0]["id"]) if one == "CLIP" else one for one in what]
    done = CliRunner().invoke(app, ["receipt", *arguments, "--data", str(side.store.root)])
    assert done.exit_code == 0, done.output
    if "--short" in what:
        assert Short.parse(done.stdout.strip()).check(log.key) == log.head
    else:
        Receipt.parse(done.stdout_bytes).check([log.key], log.origin)


def test_the_command_says_what_it_cannot_do(side: Dockside, tmp_path: Path) -> None:
    for arguments, said in (
        (["A1"], "no log yet"),
        (["A1", "--clip", "3"], "one of"),
        ([], "one of"),
    ):
        done = CliRunner().invoke(
            app, ["receipt", *arguments, "--data", str(side.store.root), "--lang", "en"]
        )
        assert done.exit_code in (1, 2)
        assert said in done.output, done.output


def test_the_screens_get_the_short_receipt_as_soon_as_the_log_has_signed_the_docking(
    side: Dockside, tmp_path: Path
) -> None:
    shown = Shown(side.catalog, side.store.root / "custody")
    assert shown(1) == ""  # there is neither a docking nor a log
    docking = docked(side, recorder(tmp_path / "rec", FILES))
    assert shown(docking) == ""  # not signed yet
    log = log_of(side)
    made = Short.parse(shown(docking))
    assert made.check(log.key).size == log.head.size
    assert made.index == handover.event_of_docking(side.catalog.read(), docking) - 1
    side.dock(recorder(tmp_path / "other", {"a.mp4": 5}))
    log_of(side)
    assert shown(docking) == made.text  # the one that was scanned already
