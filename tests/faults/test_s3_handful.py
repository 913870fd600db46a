"""Short clips by the handful, to a real bucket over a bad network: each arrives whole, is confirmed by what
the server itself says of it, and costs few requests."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.upload.generation import Generation
from tests.contract.s3_kit import S3Kit
from tests.servers.faults import Fault, Flip, LoseResponse, Reply, Reset, Rule, s3_error
from tests.servers.proxy import FaultProxy
from tests.uploading import Station, content

HOUR = 3600.0
CLIPS = 16  # a handful
CLIP, SEVENTH = r"\.mp4\.[0-9a-f]{16}$", r"/7\.mp4\.[0-9a-f]{16}$"
MANIFEST, SEVENTH_MANIFEST = r"\.mp4\.[0-9a-f]{16}\.json$", r"/7\.mp4\.[0-9a-f]{16}\.json$"
LIST, MARK = "list-type=2&max-keys=[1-9][0-9]", r"recorder-station-target$"
ZEROS = "A" * 43 + "="


class Killed(BaseException):
    """The agent ends at this line."""


@pytest.fixture
def station(tmp_path: Path, kit: S3Kit, proxy: FaultProxy) -> Iterator[Station]:
    made = Station(tmp_path, {"centre": kit.target_at(proxy.url, timeouts=(5.0, 5.0))})
    made.run()  # greeted and swept
    proxy.seen.clear()
    yield made
    made.close()


def stored(station: Station) -> list[int]:
    return [station.store(f"{n}.mp4", content(10_000 + n, n), part_size=8 << 20) for n in range(CLIPS)]


def hours(station: Station, number: int = 1) -> None:
    for _ in range(number):
        station.clock.now += HOUR
        station.run()


def whole(station: Station, kit: S3Kit, clips: Sequence[int]) -> None:
    """Every clip is confirmed, once, and lies at the centre as it does here, with its manifest."""
    there = kit.bucket(kit._weed.url)
    for clip in clips:
        assert [kind for kind, _ in station.events(clip)].count("confirmed") == 1
        key = station.key(clip)
        assert there.get(f"clips/{key}") == station.path(key).read_bytes()
        assert key.encode() in (there.get(f"clips/{key}.json") or b"")


def puts(proxy: FaultProxy, path: str = CLIP) -> Counter[str]:
    """How often each clip, or manifest, was sent."""
    return Counter(
        seen.target for seen in proxy.seen if seen.method == "PUT" and re.search(path, seen.target)
    )


def test_a_short_clip_of_a_handful_costs_three_requests_and_a_share(
    station: Station, kit: S3Kit, proxy: FaultProxy
) -> None:
    """Who it is; manifest and clip, of each; what lies there of all; of each clip; who it was."""
    clips = stored(station)
    station.run()
    sent, asked = ["PUT", "PUT"] * CLIPS, ["HEAD"] * CLIPS
    assert [seen.method for seen in proxy.seen] == ["GET", *sent, "GET", *asked, "GET"]
    whole(station, kit, clips)


@pytest.mark.parametrize(
    "fault",
    [Flip(at=5), Reset(after=5000), s3_error("SlowDown", 503), s3_error("InternalError", 200)],
    ids=repr,
)
@pytest.mark.parametrize("path", [SEVENTH, SEVENTH_MANIFEST])
def test_one_clip_that_does_not_get_through_is_never_kept_and_is_sent_again(
    station: Station, kit: S3Kit, proxy: FaultProxy, fault: Fault, path: str
) -> None:
    if isinstance(fault, Reset) and path == SEVENTH_MANIFEST:
        fault = Reset(after=50)
    clips = stored(station)
    proxy.add(Rule(fault, "PUT", path))
    station.run()
    assert {clip for clip in clips if station.state(clip) != "confirmed"} <= {clips[7]}
    hours(station)
    assert any(seen.fault for seen in proxy.seen)
    whole(station, kit, clips)
    assert {times for target, times in puts(proxy).items() if "/7." not in target} == {1}


@pytest.mark.parametrize("path", [SEVENTH, SEVENTH_MANIFEST])
def test_an_answer_that_is_lost_costs_no_byte_of_the_clip(
    station: Station, kit: S3Kit, proxy: FaultProxy, path: str
) -> None:
    clips = stored(station)
    proxy.add(Rule(LoseResponse(), "PUT", path))
    station.run()
    hours(station)
    assert any(seen.fault for seen in proxy.seen)
    assert set(puts(proxy).values()) == {1}
    whole(station, kit, clips)


@pytest.mark.parametrize("what", ["clip", "manifest"])
def test_other_content_under_a_name_is_never_replaced(
    station: Station, kit: S3Kit, proxy: FaultProxy, what: str
) -> None:
    clips = stored(station)
    other = b'{"size": 1}'
    key = f"clips/{station.key(clips[7])}" + (".json" if what == "manifest" else "")
    there = kit.bucket(kit._weed.url)
    there.put(key, other, hashlib.sha256(other).digest())
    station.run()
    assert station.state(clips[7]) == "rejected"
    assert there.get(key) == other
    whole(station, kit, clips[:7] + clips[8:])


@pytest.mark.parametrize(
    "lie",
    [
        Reply(200, headers=(("x-amz-checksum-sha256", ZEROS), ("x-amz-meta-sha256", "0" * 64))),
        Reply(404),
        Reply(200),
    ],
    ids=["another digest", "not there", "no digest"],
)
def test_a_clip_of_which_the_server_says_something_else_is_not_confirmed(
    station: Station, kit: S3Kit, proxy: FaultProxy, lie: Reply
) -> None:
    clips = stored(station)
    proxy.add(Rule(lie, "HEAD", SEVENTH, times=1000))
    proxy.add(Rule(Flip(at=5, way="out"), "GET", SEVENTH, times=1000))  # else its bytes would tell
    station.run()
    hours(station, 3)
    assert [clip for clip in clips if station.state(clip) != "confirmed"] == [clips[7]]
    proxy.clear()
    hours(station, 30)
    whole(station, kit, clips)


def test_a_clip_that_was_taken_in_words_only_is_not_confirmed(
    station: Station, kit: S3Kit, proxy: FaultProxy
) -> None:
    clips = stored(station)
    proxy.add(Rule(Reply(200), "PUT", SEVENTH))
    station.run()
    hours(station)
    assert puts(proxy, SEVENTH).total() == 2
    whole(station, kit, clips)


def test_a_manifest_that_was_taken_in_words_only_keeps_its_clip_from_being_confirmed(
    station: Station, kit: S3Kit, proxy: FaultProxy
) -> None:
    clips = stored(station)
    proxy.add(Rule(Reply(200), "PUT", SEVENTH_MANIFEST))
    while station.uploads.step() and not puts(proxy):
        pass
    assert [clip for clip in clips if station.state(clip) != "confirmed"] == clips[7:]
    station.run()
    hours(station)
    assert {times for target, times in puts(proxy).items() if "/7." not in target} == {1}
    whole(station, kit, clips)


@pytest.mark.parametrize(
    "fault",
    [
        s3_error("AccessDenied", 403),
        s3_error("InvalidRequest", 400),
        Reply(200, b"<ListBucketResult></ListBucketResult>"),
        Flip(at=700, way="out"),
    ],
    ids=["may not", "cannot", "nothing there", "a flipped bit"],
)
def test_a_list_that_tells_nothing_is_made_good_by_questions(
    station: Station, kit: S3Kit, proxy: FaultProxy, fault: Fault
) -> None:
    clips = stored(station)
    proxy.add(Rule(fault, "GET", LIST))
    station.run()
    hours(station)
    assert any(seen.fault for seen in proxy.seen)
    assert set(puts(proxy).values()) == {1}
    whole(station, kit, clips)


def test_a_list_of_other_manifests_confirms_nothing(station: Station, kit: S3Kit, proxy: FaultProxy) -> None:
    """Its digests are not those of ours: each manifest is asked for, and is not there either."""
    clips = stored(station)
    keys = [f"clips/{station.key(clip)}.json" for clip in clips]
    rows = "".join(f"<Contents><Key>{key}</Key><ETag>{'0' * 32}</ETag></Contents>" for key in keys)
    proxy.add(Rule(Reply(200, f"<ListBucketResult>{rows}</ListBucketResult>".encode()), "GET", LIST))
    proxy.add(Rule(Reply(404), "HEAD|GET", MANIFEST, times=10_000))
    station.run()
    assert "confirmed" not in station.states()
    proxy.clear()
    hours(station, 30)
    whole(station, kit, clips)


def test_another_store_that_answers_at_the_end_confirms_nothing(
    station: Station, kit: S3Kit, proxy: FaultProxy
) -> None:
    clips = stored(station)
    another = Reply(200, b'{"format": 1, "id": "another"}')
    proxy.add(Rule(another, "GET", MARK, nth=2, times=1000))
    station.run()
    assert station.states() == {"uploading"}
    proxy.clear()
    hours(station)
    whole(station, kit, clips)


@pytest.mark.parametrize("commit", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_round_any_commit_costs_no_byte_and_no_clip(
    station: Station,
    kit: S3Kit,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    commit: int,
    when: str,
) -> None:
    each, commits = Generation.each, 0

    def dying(self: Generation, works: Sequence[Any]) -> Any:
        nonlocal commits
        commits += 1
        if commits == commit and when == "before":
            raise Killed
        said = each(self, works)
        if commits == commit:
            raise Killed
        return said

    clips = stored(station)
    monkeypatch.setattr(Generation, "each", dying)
    with pytest.raises(Killed):
        station.run()
    station.uploads = station.make_uploads()
    station.run()
    assert set(puts(proxy).values()) == {1}
    whole(station, kit, clips)


@pytest.mark.parametrize(("method", "path"), [("PUT", SEVENTH_MANIFEST), ("PUT", SEVENTH), ("HEAD", SEVENTH)])
@pytest.mark.parametrize("fault", [Reset(after=0), LoseResponse()], ids=repr)
def test_a_kill_in_the_middle_costs_no_byte_and_no_clip(
    station: Station, kit: S3Kit, proxy: FaultProxy, method: str, path: str, fault: Fault
) -> None:
    """The line breaks off, and the agent is another one before it could say so."""
    clips = stored(station)
    proxy.add(Rule(fault, method, path))
    while station.uploads.step() and not any(seen.fault for seen in proxy.seen):
        pass
    station.uploads = station.make_uploads()
    station.run()
    sent = puts(proxy)
    assert {times for target, times in sent.items() if "/7." not in target} == {1}
    whole(station, kit, clips)
