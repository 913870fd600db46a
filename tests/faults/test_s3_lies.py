"""A centre that says one thing of its bytes and has another: what was read counts, not what is said again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.s3_kit import S3Kit
from tests.servers.faults import Flip, Reply, Rule
from tests.servers.proxy import FaultProxy
from tests.uploading import Station, content

DATA = content(50_000)
CLIP, MARK = r"1\.mp4\.[0-9a-f]{16}$", r"recorder-station-target$"
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def station(tmp_path: Path, kit: S3Kit, proxy: FaultProxy) -> Iterator[Station]:
    """Reads everything back."""
    made = Station(tmp_path, {"centre": kit.target_at(proxy.url)})
    made.uploads = made.make_uploads(read_back=1.0)
    yield made
    made.close()


def age(station: Station, days: float) -> None:
    station.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - ?", (days * DAY,)))


def hours(station: Station, number: int) -> None:
    for _ in range(number):
        station.clock.now += HOUR
        station.run()


def at_centre(kit: S3Kit, station: Station, clip: int) -> bytes | None:
    return kit.bucket(kit._weed.url).get(f"clips/{station.key(clip)}")


@pytest.mark.parametrize("times", [1, 3])
def test_bytes_that_were_read_and_are_others_are_sent_anew_although_the_server_vouches_for_them(
    station: Station, kit: S3Kit, proxy: FaultProxy, times: int
) -> None:
    clip = station.store("1.mp4", DATA)
    station.run()
    assert station.state(clip) == "confirmed"
    sent = proxy.count("PUT", CLIP)
    proxy.add(Rule(Flip(at=5, way="out"), "GET", CLIP, times=times))
    age(station, 8)
    hours(station, 2 * times)
    assert proxy.count("PUT", CLIP) >= sent + times
    assert station.state(clip) == "confirmed"
    assert station.delivery(clip)["distrusted"] == 0
    assert at_centre(kit, station, clip) == DATA
    assert "lost-at-target" in [kind for kind, _ in station.events(clip)]


def test_a_clip_whose_first_reading_back_differs_is_not_confirmed_by_what_the_server_says(
    station: Station, proxy: FaultProxy
) -> None:
    station.uploads = station.make_uploads(read_back=0.0)
    clip = station.store("1.mp4", DATA)
    station.run()
    station.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - ?", (8 * DAY,)))
    station.uploads = station.make_uploads(read_back=1.0)
    proxy.add(Rule(Flip(at=5, way="out"), "GET", CLIP, times=1000))
    hours(station, 1)
    station.uploads = station.make_uploads(read_back=0.0)  # after a restart, by another throw of the dice
    hours(station, 5)
    assert station.state(clip) != "confirmed"
    proxy.clear()
    hours(station, 2)
    assert station.state(clip) == "confirmed"


def test_bytes_that_cannot_be_read_are_not_confirmed_by_trying_again(
    station: Station, proxy: FaultProxy
) -> None:
    clip = station.store("1.mp4", DATA)
    proxy.add(Rule(Reply(500), "GET", CLIP, times=1000))
    hours(station, 12)
    assert station.state(clip) != "confirmed"
    assert proxy.count("PUT", CLIP) > 1, "it was sent once, and never anew"
    proxy.clear()
    hours(station, 3)
    assert station.state(clip) == "confirmed"


def test_another_store_that_answers_meanwhile_gets_nothing_and_has_lost_nothing(
    station: Station, proxy: FaultProxy
) -> None:
    before = station.store("1.mp4", DATA)
    station.run()
    assert station.state(before) == "confirmed"
    proxy.clear()
    proxy.add(Rule(Reply(200, b'{"format": 1, "id": "another"}'), "GET", MARK, times=1000))
    proxy.add(Rule(Reply(404), "HEAD", CLIP, times=1000))
    age(station, 8)
    late = station.store("2.mp4", content(1000, 2))
    hours(station, 3)
    assert station.state(before) == "confirmed"
    assert station.delivery(before)["receipt"]
    assert station.state(late) == "stored"
    assert proxy.count("PUT") == 0
    problem = station.uploads.facts()["centre"].problem
    assert problem is not None and problem.key == "target-changed"


def test_one_odd_answer_to_the_question_is_no_loss(station: Station, proxy: FaultProxy) -> None:
    clip = station.store("1.mp4", DATA)
    station.run()
    station.uploads = station.make_uploads(read_back=0.0)
    station.run()
    proxy.add(Rule(Reply(404), "HEAD", CLIP, times=1))
    age(station, 8)
    hours(station, 1)
    assert any(seen.fault for seen in proxy.seen), "it was not asked for"
    assert "lost-at-target" not in [kind for kind, _ in station.events(clip)]
    assert station.delivery(clip)["state"] == "confirmed"
