"""A rotten clip is fetched again from a bucket; from one that lies, or has lost it, nothing is taken."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model import StoredClip
from agent.upload.scheduler import Uploads
from tests.contract.s3_kit import S3Kit
from tests.scrubbing import House, spoil
from tests.servers.weed import Weed
from tests.uploading import locked

pytestmark = pytest.mark.usefixtures("trusted_clock")


class Bucketed(House):
    """With a bucket for its centre."""

    def __init__(self, root: Path, weed: Weed) -> None:
        self.kit = S3Kit(weed)
        self.target_there = self.kit.target()
        super().__init__(root, time.time)

    def start(self) -> None:
        super().start()
        assert self.uploads.stop(10)
        self.uploads = Uploads(
            self.catalog, {"centre": self.target_there}, self.store.path, lock=locked(), monotonic=self.time
        )
        self.target = self.target_there  # type: ignore[assignment]

    def object(self, number: int) -> StoredClip:
        return self.kit.clip(b"", self.key(number))


@pytest.fixture
def house(tmp_path: Path, weed: Weed) -> Iterator[Bucketed]:
    house = Bucketed(tmp_path, weed)
    house.record(1, 2)
    house.record(3, size=11 << 20)
    house.dock()
    house.send()
    assert house.states() == ["confirmed"] * 3
    house.age()
    yield house
    house.stop()


def test_a_flipped_byte_is_healed_from_a_bucket(house: Bucketed) -> None:
    spoiled = [spoil(house.path(number)) for number in (1, 3)]
    house.scrub.step()
    assert [path.read_bytes() for path, _ in spoiled] == [data for _, data in spoiled]
    assert sorted(told["params"]["parts"] for told in house.events("rotten")) == [[0], [1]]
    assert house.states() == ["confirmed"] * 3
    assert house.marks() == []


def test_a_bucket_that_lies_is_not_believed_and_one_that_lost_the_clip_leads_to_its_recorder(
    house: Bucketed,
) -> None:
    path, data = spoil(house.path(1))
    house.kit.place(house.object(1), path.read_bytes())
    house.scrub.step()
    assert (house.waiting(), path.read_bytes() == data) == (1, False)
    house.kit.remove(house.object(1), manifest=False)
    house.later()
    house.scrub.step()
    house.send()
    house.later()
    house.scrub.step()
    assert house.states() == ["confirmed", "confirmed", "quarantined"]
    house.dock()
    house.send()
    assert house.states() == ["confirmed"] * 3
    assert path.read_bytes() == data
