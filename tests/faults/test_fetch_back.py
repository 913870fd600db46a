"""A clip is fetched back from the centre as it was stored, or not at all; from servers that fail or lie."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import places
from agent.config import Config
from agent.custody.evidence.gathering import compared
from agent.errors import NotEqual
from agent.upload import back
from agent.upload.back import Known, NotFetched
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget
from tests.contract.s3_kit import S3Kit
from tests.contract.tus_kit import NodeKit, ResumableKit, WeedTusKit
from tests.servers.faults import Flip, Reply, Reset, Rule
from tests.servers.proxy import FaultProxy
from tests.servers.tus_node import TusNode
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import Weed
from tests.uploading import PART, Station, content

DATA = content(700_000)


class House:
    """A station, its target behind a proxy, and one clip that is at the centre only."""

    def __init__(self, root: Path, target: Target, kit: Any, line: FaultProxy | None) -> None:
        self.kit, self.line = kit, line
        self.station = Station(root, {"centre": target})
        self.clip = self.station.store("1.mp4", DATA, part_size=kit.part if kit else PART)
        self.station.run()
        assert self.station.state(self.clip) == "confirmed"
        self.station.path(self.station.key(self.clip)).unlink()
        db = self.station.catalog.read()
        place = places.known_at(db, "centre", target.address)
        assert place
        self.known = [Known(target, place)]
        self.got = b""
        self.waits: list[float] = []

    def put(self, pieces: Iterator[bytes]) -> None:
        got = bytearray()
        for piece in compared(pieces, len(DATA), hashlib.sha256(DATA).hexdigest()):
            got += piece
        self.got = bytes(got)

    def fetch(self) -> str:
        db = self.station.catalog.read()
        return back.fetch(db, self.known, self.clip, self.put, self.waits.append)

    def reasons(self) -> list[str]:
        with pytest.raises(NotFetched) as raised:
            self.fetch()
        assert all(one.params["target"] == "centre" for one in raised.value.reasons)
        assert self.got == b""
        return [one.key for one in raised.value.reasons]


@pytest.fixture(params=["s3", "weed_tus", "tus_node", "tus_resumable"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    made: Any
    match request.param:
        case "s3":
            weed: Weed = request.getfixturevalue("weed")
            made, port = S3Kit(weed), weed.ports[0]
        case "weed_tus":
            made = WeedTusKit(request.getfixturevalue("weed"))
            port = made.port
        case "tus_node":
            node: TusNode = request.getfixturevalue("tus_node")
            made = NodeKit(node)
            port = made.port
        case _:
            resumable: TusResumable = request.getfixturevalue("tus_resumable")
            made = ResumableKit(resumable)
            port = made.port
    with FaultProxy(port) as line:
        url = line.url if request.param == "s3" else made.through(line.port)
        house = House(tmp_path, made.target_at(url), made, line)
        yield house
        house.station.close()


def test_it_is_what_was_stored(house: House) -> None:
    assert house.fetch() == "centre"
    assert house.got == DATA
    assert house.waits == []


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Reset(after=500_000, way="out"), "GET", times=3),
        Rule(Reply(503), "GET", times=3),
        Rule(Flip(at=5, way="out"), "GET", times=3),
    ],
    ids=lambda rule: type(rule.fault).__name__,
)
def test_a_fault_that_passes_is_got_over(house: House, rule: Rule) -> None:
    """Each try begins anew: nothing of the one before is in it."""
    assert house.line is not None
    house.line.add(rule)
    house.fetch()
    assert house.got == DATA
    assert len(house.waits) == 3
    assert all(0 < wait <= 30 for wait in house.waits)


def test_a_server_that_gives_other_bytes_again_and_again_is_not_believed(house: House) -> None:
    assert house.line is not None
    house.line.add(Rule(Flip(at=5, way="out"), "GET", times=1000))
    assert house.reasons() == ["export-other-bytes"]
    assert len(house.waits) == back.TRIES - 1


@pytest.mark.parametrize("lie", [DATA[:-1] + b"x", DATA[:-1], DATA + b"x", b"", DATA * 3])
def test_what_lies_there_and_is_another_is_not_taken(house: House, lie: bytes) -> None:
    clip = house.kit.clip(DATA, house.station.key(house.clip))
    house.kit.place(clip, lie)
    assert house.reasons() == ["export-other-bytes"]


def test_what_the_centre_has_lost_is_not_asked_for_again_and_again(house: House) -> None:
    house.kit.remove(house.kit.clip(DATA, house.station.key(house.clip)), manifest=False)
    assert house.reasons() == ["export-not-at-target"]
    assert house.waits == []


def test_a_server_that_is_away_is_named(house: House) -> None:
    assert house.line is not None
    house.line.add(Rule(Reset(after=0, way="out"), times=1000))
    [reason] = house.reasons()
    assert reason.startswith("target-")
    assert len(house.waits) == back.TRIES - 1


# Several targets, and folders


@pytest.fixture
def share(tmp_path: Path) -> Iterator[tuple[House, Path]]:
    root = tmp_path / "share"
    root.mkdir()
    made = House(tmp_path, FolderTarget("centre", root, first_contact=True), None, None)
    yield made, root
    made.station.close()


def test_the_next_target_has_it_when_the_first_one_lies(share: tuple[House, Path], tmp_path: Path) -> None:
    house, _ = share
    (tmp_path / "other").mkdir()
    other = FolderTarget("other", tmp_path / "other", first_contact=True)
    other.place()
    lying = tmp_path / "other/clips" / house.station.key(house.clip)
    lying.parent.mkdir(parents=True)
    lying.write_bytes(DATA[::-1])
    house.known.insert(0, Known(other, "x"))
    assert house.fetch() == "centre"
    assert house.got == DATA


def test_a_share_that_is_not_mounted_is_named(share: tuple[House, Path]) -> None:
    house, root = share
    root.rename(root.with_name("away"))
    root.mkdir()
    assert house.reasons() == ["target-not-mounted"]
    assert list(root.iterdir()) == []


def test_of_a_share_no_link_is_followed(share: tuple[House, Path]) -> None:
    house, root = share
    there = root / "clips" / house.station.key(house.clip)
    there.symlink_to(there.rename(root / "elsewhere"))
    assert house.reasons() == ["target-conflict"]


def test_only_targets_that_this_station_was_in_touch_with_are_asked(
    share: tuple[House, Path], tmp_path: Path
) -> None:
    """Of another one there is nothing to be had, and nothing is left there, not even a mark."""
    house, root = share
    (tmp_path / "new").mkdir()
    targets = {
        name: {"kind": "folder", "path": str(path), "local": True}
        for name, path in (("centre", root), ("new", tmp_path / "new"))
    }
    config = Config.model_validate({"targets": targets})
    db = house.station.catalog.read()
    found = back.known(config.targets, db, tmp_path / "store")
    assert [one.target.name for one in found] == ["centre"]
    assert back.fetch(db, found, house.clip, house.put) == "centre"
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(NotFetched) as raised:
        back.fetch(db, [], house.clip, house.put)
    assert [one.key for one in raised.value.reasons] == ["export-no-target"]


def test_no_more_is_taken_than_a_clip_has() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1000)

    with pytest.raises(NotEqual):
        list(compared(endless(), 5000, "0" * 64))
    assert taken == 6
