"""A centre that is away for days, and comes back: a real server, killed and started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog.documents import stored_clip
from agent.config.schema import UploadConfig
from agent.model import StoredClip
from agent.upload.breaker import FAILURES, BreakerState
from agent.upload.targets.base import LocalReader
from agent.upload.targets.s3.target import S3Target
from tests.contract.s3_kit import S3Kit
from tests.servers.weed import Weed
from tests.uploading import Station, content

DAY, QUARTER = 86400, 900  # seconds
DAYS = 5


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with Weed(tmp_path_factory.mktemp("own")) as running:
        yield running


def test_a_backlog_of_days_is_emptied_when_the_server_is_back(own: Weed, tmp_path: Path) -> None:
    with S3Kit(own) as kit:
        target = kit.target()
        assert isinstance(target, S3Target)
        station = Station(tmp_path, {"centre": target})
        clips: dict[int, bytes] = {}

        def store(name: str, size: int) -> int:
            data = content(size, len(clips))
            clip = station.store(name, data, part_size=kit.part)
            clips[clip] = data
            return clip

        store("before.mp4", 1000)
        station.run()
        assert station.states() == {"confirmed"}

        cut = _cut_after_the_first_part(own, target)
        halfway = store("halfway.mp4", 2 * kit.part + 77)
        station.run()
        assert cut
        assert station.state(halfway) == "uploading"
        steps = 0
        for day in range(DAYS):
            for number in range(4):
                store(f"{day}-{number}.mp4", 10_000 + day)
            for _ in range(DAY // QUARTER):
                station.clock.now += QUARTER
                steps += station.run()
        # One at a time tried it, and nothing was given up.
        assert steps <= FAILURES + DAYS * DAY // QUARTER
        assert station.uploads.facts()["centre"].breaker is not BreakerState.CLOSED
        assert station.states() == {"confirmed", "uploading", "stored"}

        own.start()
        station.clock.epoch -= DAYS * DAY  # receipts are dated by this machine, for which no days have passed
        for _ in range(2):
            station.clock.now += QUARTER
            station.run()
        for clip, data in clips.items():
            assert kit.object(stored_clip(station.catalog.read(), clip)) == data
            assert [kind for kind, _ in station.events(clip)].count("confirmed") == 1
        assert station.uploads.facts()["centre"].problem is None
        station.close()


def test_a_clip_that_may_be_sent_slowly_only_arrives_whole(kit: S3Kit, tmp_path: Path) -> None:
    station = Station(tmp_path, {"centre": kit.target()})
    station.limits.set(UploadConfig(bandwidth=8 << 20))
    clips = {}
    for size in (100_000, 2 * kit.part + 77):
        clips[station.store(f"{size}.mp4", content(size), part_size=kit.part)] = content(size)
    station.run()
    for clip, data in clips.items():
        assert station.state(clip) == "confirmed"
        assert kit.object(stored_clip(station.catalog.read(), clip)) == data
    station.close()


def _cut_after_the_first_part(server: Weed, target: S3Target) -> list[int]:
    """The server is killed as soon as it has answered for the next part; the part's offset is then known."""
    send, cut = target.send, list[int]()

    def once(clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        answered = send(clip, token, reader, offset, length)
        if not cut:
            cut.append(offset)
            server.kill()
        return answered

    target.send = once  # type: ignore[method-assign]
    return cut
