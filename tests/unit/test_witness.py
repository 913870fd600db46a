"""A station cannot rewrite its past once another one, or the centre, has seen a head of it."""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.custody.log import signer, witness
from agent.custody.log.commands import commands
from agent.custody.log.reading import Log
from agent.custody.log.witness import Carried, Witness
from agent.custody.verifier import Head, Invalid, Key, Note
from agent.errors import Reject
from tests.custody_house import STATION, House, house

OTHER = "fedcba9876543210" * 2


@pytest.fixture
def log(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "one") as made:
        made.happen(10)
        made.log()
        yield made


@pytest.fixture
def other(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "two") as made:
        made.happen(3)
        made.log()
        yield made


def ask(made: House, name: str, station: str = STATION, **arguments: str) -> dict[str, Any]:
    return dict(commands(made.catalog, made.custody, station)[name](arguments, "uid 0"))


def witness_of(made: House, name: str = f"station/{OTHER}") -> Witness:
    """The other station by another name: both houses are of one."""
    seed = signer.load(made.custody, name)
    assert seed is not None
    return Witness(made.custody, seed)


def carried(made: House, *before: int) -> Carried:
    return witness.carry(Log(made.custody / "1"), before)


def found(made: House, heads: Path | None = None) -> set[str]:
    return {finding.key for finding in audit(made.store, Looked(), time.time(), heads)}


def rewritten(log: House, tmp_path: Path, events: int) -> House:
    """The same station with another past: by somebody who has its whole disk, and the key."""
    made = House(tmp_path / "rewritten")
    made.custody.mkdir()
    for name in ("key", "key.pub"):
        shutil.copy(log.custody / name, made.custody / name)
    made.happen(events)
    made.log()
    return made


def test_a_head_that_was_carried_is_countersigned_kept_and_found_again(log: House, other: House) -> None:
    for size in (10, 700, 1):
        log.happen(size)
        log.log()
        there = ask(log, "log-carry")
        back = ask(other, "log-witness", OTHER, text=there["text"])
        told = ask(log, "log-keep", key=back["key"], text=back["text"])
        assert told["size"] == there["size"]
    assert found(log) == set()
    kept = [note for _, note in witness.kept(log.custody, 1)]
    assert len(kept) == 3
    for note in kept:
        assert isinstance(note, Note)
        key = witness.cosigner(Key.parse((other.custody / "key.pub").read_text().strip()))
        assert note.check([dataclasses.replace(key, name=f"station/{OTHER}")])
    log.log()
    assert [event[0] > 0 for event in log.events("log-countersigned")] == [True] * 3
    assert len(other.events("log-witnessed")) == 3


def test_what_is_carried_survives_its_way_through_a_file(log: House) -> None:
    log.happen(300)
    log.log()
    made = carried(log, 5, 11)
    assert Carried.parse(made.text) == made
    for text in (
        "",
        made.text[:-20],
        made.text.replace("old 5", "old five"),
        made.text.replace("heads 1", "heads 2"),
    ):
        with pytest.raises(Invalid):
            Carried.parse(text)


def test_a_past_that_was_rewritten_is_not_countersigned(log: House, other: House, tmp_path: Path) -> None:
    ours = witness_of(other)
    ours.countersign(carried(log), 1)
    before = Log(log.custody / "1").head.size
    for events, key in ((30, "witness-altered"), (before - 1, "witness-altered"), (2, "witness-shorter")):
        made = rewritten(log, tmp_path / key / str(events), events)
        with pytest.raises(Reject) as raised:
            ours.countersign(carried(made, before), 2)
        assert raised.value.key == key, events
        made.leave()
    log.happen(5)
    log.log()
    ours.countersign(carried(log, before), 3)  # the true one goes on


def test_a_head_that_does_not_prove_that_it_goes_on_is_not_believed(log: House, other: House) -> None:
    ours = witness_of(other)
    ours.countersign(carried(log), 1)
    size = Log(log.custody / "1").head.size
    log.happen(5)
    log.log()
    made = carried(log, size)
    for proofs, key in (
        ({}, "witness-unproven"),
        ({size: ()}, "witness-altered"),
        ({size: made.proofs[size][:-1]}, "witness-altered"),
    ):
        with pytest.raises(Reject) as raised:
            ours.countersign(dataclasses.replace(made, proofs=proofs), 2)
        assert raised.value.key == key


def test_a_witness_believes_nothing_that_the_station_did_not_sign(
    log: House, other: House, tmp_path: Path
) -> None:
    ours, made = witness_of(other), carried(log)
    stranger = signer.make(tmp_path, f"station/{STATION}", "x")
    head = made.head
    forged = stranger.sign(Head(head.origin, head.size + 9, bytes(32)).text)
    for false, key in (
        (dataclasses.replace(made, note=forged), "witness-false"),
        (dataclasses.replace(made, note=Note(made.note.text, ())), "witness-false"),
        (dataclasses.replace(made, key=Key("station/x", made.key.public)), "witness-false"),
    ):
        with pytest.raises(Reject) as raised:
            ours.countersign(false, 1)
        assert raised.value.key == key
    ours.countersign(made, 1)
    with pytest.raises(Reject) as raised:  # another key under the same name, later
        ours.countersign(Carried(stranger.key, {}, forged), 1)
    assert raised.value.key == "witness-key"
    with pytest.raises(Reject) as raised:
        ask(log, "log-witness", text=made.text)
    assert raised.value.key == "witness-own"
    assert [body["reason"] for _, body in log.events("log-not-witnessed")] == ["witness-own"]


def test_only_true_countersignatures_are_kept(log: House, other: House) -> None:
    back = ask(other, "log-witness", OTHER, text=ask(log, "log-carry")["text"])
    text, key = back["text"], back["key"]
    ours = (log.custody / "key.pub").read_text().strip()
    for arguments in (
        {"key": key, "text": text.replace("\n1", "\n2", 1)},
        {"key": ours, "text": text},
        {"key": key, "text": text.rpartition("— ")[0]},
        {"key": key[:-4] + "AAA=", "text": text},
        {"key": key, "text": ""},
    ):
        with pytest.raises(Reject) as raised:
            ask(log, "log-keep", **arguments)
        assert raised.value.key == "cosigned-false"
    assert list(witness.kept(log.custody, 1)) == []


def test_an_audit_finds_a_past_that_was_rewritten_by_the_heads_that_left(
    log: House, other: House, tmp_path: Path
) -> None:
    back = ask(other, "log-witness", OTHER, text=ask(log, "log-carry")["text"])
    made = rewritten(log, tmp_path, 40)
    assert found(made) == set()  # in itself it is whole
    ask_keep = {"key": back["key"], "text": back["text"]}
    ask(made, "log-keep", **ask_keep)
    assert "elsewhere-differs" in found(made)

    centre = tmp_path / "centre" / "1" / "heads"
    centre.mkdir(parents=True)
    note = Log(log.custody / "1").note
    (centre / "12").write_bytes(note.data)
    log.log()
    assert found(log, tmp_path / "centre") == set()
    assert "elsewhere-differs" in found(made, tmp_path / "centre")
    (centre / "13").write_bytes(note.data.replace(b"\n1", b"\n2", 1))
    assert "elsewhere-false" in found(log, tmp_path / "centre")
    (centre / "13").write_bytes(
        signer.make(tmp_path, "station/x", "x").sign(Head("station/x/1", 1, bytes(32)).text).data
    )
    assert "elsewhere-false" in found(log, tmp_path / "centre")
    made.leave()
