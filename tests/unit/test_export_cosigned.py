"""A head that another station countersigned is an anchor for who trusts that station, and for nobody else."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.custody import package
from agent.custody.anchors import COSIGNED, Countersigned, countersigning
from agent.custody.log import signer, tiles
from agent.custody.log.commands import commands
from agent.custody.log.signer import Signer
from agent.custody.log.witness import Carried, Witness, cosigner
from agent.custody.verdict import Said
from agent.custody.verifier import Head, Invalid, Key, Note, leaf_hash
from agent.errors import Stop
from tests.custody_house import STATION, House
from tests.dockside import recorder
from tests.exporting import Exporting, remade, run

OTHER, THIRD = "fedcba9876543210" * 2, "00112233445566778899aabbccddeeff"


class Countersigning:
    """A station that exports, and others that countersign its heads."""

    def __init__(self, root: Path) -> None:
        self.station = Exporting(root / "one")
        self.houses = {}
        for name in (OTHER, THIRD):
            self.houses[name] = House(root / name)
            self.houses[name].happen(3)
            self.houses[name].log()

    def carry(self, by: str) -> dict[str, Any]:
        """To `by` and back."""
        self.station.log()
        ours = commands(self.station.side.catalog, self.station.store / "custody", STATION)
        house = self.houses[by]
        there = ours["log-carry"]({}, "uid 0")
        back = commands(house.catalog, house.custody, by)["log-witness"]({"text": there["text"]}, "uid 0")
        return dict(ours["log-keep"]({"key": back["key"], "text": back["text"]}, "uid 0"))

    def more(self, number: int) -> None:
        name = f"DCIM/6666666_000003_2026010113{number:02}00_0001.mp4"
        self.station.side.dock(recorder(self.station.root / f"more{number}", {name: 700 + number}))

    def signer(self, by: str) -> Signer:
        found = signer.load(self.houses[by].custody, f"station/{by}")
        assert found is not None
        return found

    def key(self, by: str) -> Key:
        return self.signer(by).key

    def close(self) -> None:
        self.station.side.close()
        for house in self.houses.values():
            house.leave()


@pytest.fixture
def stations(tmp_path: Path) -> Iterator[Countersigning]:
    made = Countersigning(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Countersigning, Path]]:
    """A package with one head that OTHER countersigned, some events before its own head."""
    root = tmp_path_factory.mktemp("cosigned")
    stations = Countersigning(root)
    stations.carry(OTHER)
    stations.more(1)
    yield stations, stations.station.export()
    stations.close()


def heads(bag: Path) -> list[Path]:
    return sorted((bag / COSIGNED).iterdir())


def verdict(bag: Path, *witnesses: Key) -> list[Said]:
    return list(package.check(str(bag), None, [cosigner(key) for key in witnesses]))


def wrong(bag: Path, *witnesses: Key) -> list[str]:
    return [said.en for said in verdict(bag, *witnesses) if not said.holds]


def test_a_countersignature_anchors_the_package_for_who_trusts_the_other_station(
    made: tuple[Countersigning, Path],
) -> None:
    stations, bag = made
    key = stations.key(OTHER)
    assert wrong(bag) == wrong(bag, key) == []
    for vkey in (key.vkey, cosigner(key).vkey):  # as it was printed, or as it countersigns
        done = run(bag, "--witness", vkey)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"countersigned by station/{OTHER} at 20" in done.stdout
        assert "Whoever trusts that key knows" in done.stdout
        assert "it holds, under a countersignature" in done.stdout
        assert "origin not established" not in done.stdout
    done = run(bag, "--witness", stations.key(THIRD).vkey, "--witness", key.vkey)
    assert done.returncode == 0  # any of the stations that somebody trusts
    done = run(bag, "--key", stations.station.vkey, "--witness", key.vkey)
    assert "it holds, under the key that was given" in done.stdout


def test_without_its_key_from_elsewhere_a_countersignature_is_told_and_no_anchor(
    made: tuple[Countersigning, Path],
) -> None:
    stations, bag = made
    done = run(bag)
    assert done.returncode == 0
    assert "That key came with the package, so it is no anchor" in done.stdout
    assert "verdict: consistent, origin not established" in done.stdout
    done = run(bag, "--witness", stations.key(THIRD).vkey)
    assert done.returncode == 1
    assert "no head is countersigned with a key given" in done.stdout


@pytest.mark.parametrize("arguments", [["--witness"], ["--witness", "x"], ["--key", "a", "--key", "b"], []])
def test_a_wrong_usage_is_told_as_one(made: tuple[Countersigning, Path], arguments: list[str]) -> None:
    done = run(made[1], *arguments) if arguments else run(Path("-"), "x")
    assert done.returncode == 2


def test_of_each_witness_the_first_head_that_has_all_and_the_newest_go_along(
    stations: Countersigning,
) -> None:
    sizes = dict[str, list[int]]()
    for number, by in enumerate((OTHER, OTHER, THIRD, OTHER, OTHER)):
        sizes.setdefault(by, []).append(stations.carry(by)["size"])
        stations.more(number)
    bag = stations.station.export()
    found = [Countersigned.parse(path.read_bytes()) for path in heads(bag)]
    assert {(one.by.name, Head.parse(one.note.text).size) for one in found} == {
        (f"station/{OTHER}", sizes[OTHER][0]), (f"station/{OTHER}", sizes[OTHER][-1]),
        (f"station/{THIRD}", sizes[THIRD][0]),
    }  # fmt: skip
    said = [one.en for one in verdict(bag, stations.key(OTHER), stations.key(THIRD))]
    assert sum("Whoever trusts that key" in line for line in said) == 3
    assert wrong(bag, stations.key(THIRD)) == []


def test_a_kept_head_that_is_damaged_or_from_which_the_log_does_not_go_on_stops_the_export(
    stations: Countersigning,
) -> None:
    stations.carry(OTHER)
    (kept,) = (stations.station.store / "custody/cosigned/1").iterdir()
    whole = kept.read_bytes()
    ours = signer.load(stations.station.store / "custody", f"station/{STATION}")
    assert ours is not None
    head = Head.parse(Note.parse(whole).text)
    for data in (whole[:-9], ours.sign(dataclasses.replace(head, root=bytes(32)).text).data,
                 ours.sign(dataclasses.replace(head, size=10**6).text).data):  # fmt: skip
        kept.write_bytes(data)
        with pytest.raises(Stop, match="log-unreadable"):
            stations.station.export("none")
        assert not (stations.station.root / "none").exists()
    kept.write_bytes(whole)
    assert wrong(stations.station.export()) == []


# Tampering


@dataclasses.dataclass
class Hand:
    """What somebody has who alters the countersigned head of a package; the keys, in the worst case."""

    path: Path
    found: Countersigned
    log: Signer
    masked: Signer  # the same key under another name
    other: Signer
    stranger: Signer
    head: Note  # of the package

    def put(self, made: Countersigned) -> None:
        self.path.unlink()
        self.path.with_name(made.path.rpartition("/")[2]).write_bytes(made.data)

    def change(self, **what: Any) -> None:
        self.put(dataclasses.replace(self.found, **what))

    def signed(self, by: Signer, head: Head, log: Signer | None = None) -> Countersigned:
        """Any head, signed and countersigned."""
        own = (log or self.log).sign(head.text)
        carried = Carried(Key("station/x", bytes(32)), {}, own)
        cosigned = Witness(self.path.parent, by)._signed(carried.note.text, 1_700_000_000)
        note = Note(own.text, (*own.signatures, cosigned))
        return dataclasses.replace(self.found, note=note, by=cosigner(by.key))

    def told(self, **what: Any) -> Head:
        return dataclasses.replace(Head.parse(self.found.note.text), **what)


def cosignature_at(hand: Hand, at: int) -> Note:
    own, cosigned = hand.found.note.signatures
    data = at.to_bytes(8, "big") + cosigned.data[8:]
    return Note(hand.found.note.text, (own, dataclasses.replace(cosigned, data=data)))


def flipped(hand: Hand) -> Note:
    own, cosigned = hand.found.note.signatures
    data = cosigned.data[:-3] + bytes([cosigned.data[-3] ^ 1]) + cosigned.data[-2:]
    return Note(hand.found.note.text, (own, dataclasses.replace(cosigned, data=data)))


TAMPERED: dict[str, tuple[Callable[[Hand], object], str]] = {
    "altered": (lambda hand: hand.change(note=flipped(hand)), f"signature of station/{OTHER} is not true"),
    "its time altered": (lambda hand: hand.change(note=cosignature_at(hand, 1)), "is not true"),
    "a time beyond all": (lambda hand: hand.change(note=cosignature_at(hand, 2**64 - 1)), "the time of"),
    "of another head": (
        lambda hand: hand.change(
            note=Note(hand.head.text, (*hand.head.signatures, hand.found.note.signatures[1])), hashes=()
        ),
        f"signature of station/{OTHER} is not true",
    ),
    "not countersigned at all": (
        lambda hand: hand.change(note=Note(hand.found.note.text, hand.found.note.signatures[:1])),
        "none of the known keys",
    ),
    "not signed by the log": (
        lambda hand: hand.change(note=Note(hand.found.note.text, hand.found.note.signatures[1:])),
        "none of the known keys",
    ),
    "another key in the file": (
        lambda hand: hand.change(by=cosigner(hand.stranger.key)), "none of the known keys",
    ),
    "countersigned anew by another key": (
        lambda hand: hand.put(hand.signed(hand.stranger, hand.told())), "no head is countersigned with a key",
    ),
    "a key that signs in place of one that countersigns": (
        lambda hand: hand.change(by=hand.other.key), "is none that countersigns",
    ),
    "countersigned by the station itself": (
        lambda hand: hand.put(hand.signed(hand.log, hand.told())), "cannot be its witness",
    ),
    "countersigned by the station itself under another name": (
        lambda hand: hand.put(hand.signed(hand.masked, hand.told())),
        "cannot be its witness",
    ),
    "proof removed": (lambda hand: hand.change(hashes=()), "too short"),
    "proof cut": (lambda hand: hand.change(hashes=hand.found.hashes[:-1]), "consistency"),
    "proof longer": (lambda hand: hand.change(hashes=(*hand.found.hashes, bytes(32))), "too long"),
    "proof of another head": (
        lambda hand: hand.change(hashes=(bytes(32), *hand.found.hashes[1:])), "does not lead to the",
    ),
    "a head longer than the log": (
        lambda hand: hand.put(hand.signed(hand.other, hand.told(size=10**6, root=bytes(32)))), "consistency",
    ),
    "a head of another past": (
        lambda hand: hand.put(hand.signed(hand.other, hand.told(root=bytes(32)))), "the past was altered",
    ),
    "a head of one size with the package's, of another past": (
        lambda hand: hand.put(
            hand.signed(hand.other, hand.told(size=Head.parse(hand.head.text).size, root=bytes(32)))
        ),
        "two roots of one size differ",
    ),
    "a head of another log of the station": (
        lambda hand: hand.put(hand.signed(hand.other, hand.told(origin=f"station/{STATION}/2"))),
        f"a head of station/{STATION}/2, not of station/{STATION}/1",
    ),
    "a head of another station": (
        lambda hand: hand.put(hand.signed(hand.other, hand.told(), hand.stranger)), "none of the known keys",
    ),
    "under another size": (lambda hand: hand.path.rename(hand.path.with_name("000000000001-x")), "its name"),
    "removed": (lambda hand: hand.path.unlink(), "no head is countersigned with a key given"),
    "no such file": (lambda hand: hand.path.write_bytes(b"x"), "no countersigned head"),
    "written in another way": (
        lambda hand: hand.path.write_bytes(hand.path.read_bytes().replace(b"=\n", b"=\r\n", 1)), "no count",
    ),
    "cut": (lambda hand: hand.path.write_bytes(hand.path.read_bytes()[:-3]), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_countersigned_head_that_was_altered_is_named(
    made: tuple[Countersigning, Path], tmp_path: Path, what: str
) -> None:
    stations, bag = made
    mine = shutil.copytree(bag, tmp_path / "bag")
    (path,) = heads(mine)
    custody = stations.station.store / "custody"
    log, masked = signer.load(custody, f"station/{STATION}"), signer.load(custody, "station/x")
    assert log is not None and masked is not None
    found = Countersigned.parse(path.read_bytes())
    head = Note.parse((mine / package.HEAD).read_bytes())
    stranger = Signer(bytes(range(32)), f"station/{OTHER}")
    alter, named = TAMPERED[what]
    alter(Hand(path, found, log, masked, stations.signer(OTHER), stranger, head))
    remade(mine)
    said = wrong(mine, stations.key(OTHER))
    assert any(named in line for line in said), said


# Nothing honest is accused


@settings(deadline=None)
@given(st.integers(0, 80), st.integers(1, 80))
def test_every_head_of_a_log_goes_together_with_every_other(one: int, other: int) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(80)]

    def read(level: int, n: int) -> bytes:
        return tiles.tile_root(hashes[n << level : (n + 1) << level])

    log, by = Signer(b"1" * 32, "station/a"), Signer(b"2" * 32, "station/b")
    head, mine = (Head("station/a/1", size, tiles.root(size, read)) for size in (one, other))
    own = log.sign(head.text)
    note = Note(own.text, (*own.signatures, Witness(Path("/"), by)._signed(own.text, 7)))
    hashes_of = tuple(tiles.consistency(min(one, other), max(one, other), read))
    found = Countersigned(countersigning(by.key.vkey), hashes_of, note)
    again = Countersigned.parse(found.data)
    assert again.check(log.key, mine) == (head, 7)


@given(st.binary() | st.text().map(str.encode))
def test_whatever_lies_in_its_place_is_a_head_or_invalid(data: bytes) -> None:
    for whole in (data, Countersigned.HEADER.encode() + b"\n" + data):
        with pytest.raises(Invalid):
            Countersigned.parse(whole)
