"""S3 over a bad network and with a server that refuses: nothing is vouched for that is not there, what was
sent stays sent, and every refusal says what to do."""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote

import pytest
import requests

from agent.errors import AuthFailed, Rejected, StationError, Stopping, TargetFull, Transient
from agent.model import StoredClip
from agent.upload.targets.base import Target
from agent.upload.targets.http import PIECE, TIMEOUTS, Damaged
from tests.contract.s3_kit import S3Kit
from tests.servers.faults import (
    Fault,
    Flip,
    LoseResponse,
    Reply,
    Reset,
    Rule,
    Slow,
    Stall,
    retry_after,
    s3_error,
)
from tests.servers.proxy import FaultProxy
from tests.uploading import Bytes, content, send_all

PART = S3Kit.part
_PATIENCE = (10.0, 10.0)  # seconds: a stall must not last as long as on a station
SMALL, LARGE = 100_000, 2 * PART + 77
SLOWEST = 8000  # bytes per second: 64 kbit/s
#: Requests, as the proxy tells them apart.
PUT_CLIP, PUT_PART, CREATE, COMPLETE = r"\.mp4$", "partNumber=", r"\?uploads=$", r"\?uploadId=[^&]*$"


def through(kit: S3Kit, proxy: FaultProxy) -> Target:
    return kit.target_at(proxy.url, timeouts=_PATIENCE)


def deliver(target: Target, clip: StoredClip, data: bytes, reader: Bytes | None = None) -> str:
    token = send_all(target, clip, target.begin(clip), reader or Bytes(data))
    target.finish(clip, token)
    return token


def clip_with(clip: StoredClip, **more: str) -> StoredClip:
    """The same bytes, of which more is told."""
    return replace(clip, document={**clip.document, **more})


def arrives(kit: S3Kit, target: Target, clip: StoredClip, data: bytes, token: str) -> int:
    """It goes on over a good network; bytes that were sent for that."""
    reader = Bytes(data)
    target.finish(clip, send_all(target, clip, token, reader))
    receipt = target.verify(clip, token, read_back=True)
    assert receipt.sha256 == clip.manifest.sha256
    assert kit.object(clip) == data
    return reader.read


@pytest.mark.parametrize(("size", "path"), [(SMALL, PUT_CLIP), (LARGE, PUT_PART)])
def test_a_bit_that_flips_on_the_way_is_never_kept(
    kit: S3Kit, proxy: FaultProxy, size: int, path: str
) -> None:
    data = content(size)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(Flip(at=size // 4), "PUT", path))
    token = target.begin(clip)
    with pytest.raises(Damaged):
        send_all(target, clip, token, Bytes(data))
    assert kit.object(clip) is None
    assert arrives(kit, target, clip, data, token) == size


@pytest.mark.parametrize(("size", "method", "path"), [(SMALL, "PUT", PUT_CLIP), (LARGE, "POST", COMPLETE)])
def test_a_last_answer_that_is_lost_costs_no_byte(
    kit: S3Kit, proxy: FaultProxy, size: int, method: str, path: str
) -> None:
    data = content(size)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(LoseResponse(), method, path))
    token = target.begin(clip)
    with pytest.raises(Transient):
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
    assert arrives(kit, target, clip, data, token) == 0


@pytest.mark.parametrize("fault", [Reset(after=1000), Stall(after=1000), LoseResponse()], ids=repr)
def test_a_part_that_breaks_off_is_the_only_one_that_is_sent_again(
    kit: S3Kit, proxy: FaultProxy, fault: Fault
) -> None:
    data = content(LARGE)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(fault, "PUT", PUT_PART, nth=2))
    token = target.begin(clip)
    with pytest.raises(Transient):
        send_all(target, clip, token, Bytes(data))
    # Where only the answer was lost the server may have the part.
    assert arrives(kit, target, clip, data, token) in (LARGE - PART, LARGE - 2 * PART)


def test_an_upload_whose_begin_was_not_heard_is_begun_again(kit: S3Kit, proxy: FaultProxy) -> None:
    data = content(LARGE)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(LoseResponse(), "POST", CREATE))
    with pytest.raises(Transient):
        target.begin(clip)
    assert arrives(kit, target, clip, data, target.begin(clip)) == LARGE


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (s3_error("SlowDown", 503), Transient),
        (s3_error("RequestTimeout", 400), Transient),
        (s3_error("InternalError", 500), Transient),
        (s3_error("RequestTimeTooSkewed", 403), AuthFailed),
        (s3_error("AccessDenied", 403), AuthFailed),
        (s3_error("AccessDenied", 403, early=True), AuthFailed),
        (s3_error("ExpiredToken", 400), AuthFailed),
        (s3_error("QuotaExceeded", 403), TargetFull),
        (s3_error("EntityTooLarge", 400), Rejected),
        (retry_after(429, 3), Transient),
        (retry_after(503, 3), Transient),
        (Reply(408), Transient),
        (Reply(409), Transient),
        (Reply(410), Transient),
        (Reply(423), Transient),
        (Reply(507), TargetFull),
        (Reply(302, headers=(("Location", "http://127.0.0.1:1/"),)), AuthFailed),
        (Reply(200, b"<Error><Code>InternalError</Code></Error>"), None),
    ],
    ids=lambda value: f"{value.status} {value.body[:60]!r}" if isinstance(value, Reply) else "",
)
@pytest.mark.parametrize(("size", "path"), [(SMALL, PUT_CLIP), (LARGE, PUT_PART)])
def test_a_refusal_says_what_to_do_and_loses_nothing(
    kit: S3Kit, proxy: FaultProxy, size: int, path: str, reply: Reply, kind: type[StationError] | None
) -> None:
    data = content(size)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(reply, "PUT", path))
    token = target.begin(clip)
    with pytest.raises(kind or Transient) as raised:
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
    if dict(reply.headers).get("Retry-After"):
        assert isinstance(raised.value, Transient) and raised.value.retry_after == 3
    arrives(kit, target, clip, data, token)


def test_a_clip_that_was_taken_in_words_only_is_not_vouched_for(kit: S3Kit, proxy: FaultProxy) -> None:
    data = content(SMALL)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(Reply(200), "PUT", PUT_CLIP))
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    target.finish(clip, token)
    with pytest.raises(Transient) as raised:
        target.verify(clip, token)
    assert raised.value.key == "not-there"
    assert arrives(kit, target, clip, data, token) == SMALL


@pytest.mark.parametrize(
    "reply", [s3_error("InternalError", 200), s3_error("InternalError", 500), Reply(200, b"no XML")]
)
def test_an_object_that_was_not_made_of_its_parts_is_not_vouched_for(
    kit: S3Kit, proxy: FaultProxy, reply: Reply
) -> None:
    """The server says 200 before it has done the work, and may not do it."""
    data = content(LARGE)
    clip, target = kit.clip(data), through(kit, proxy)
    proxy.add(Rule(reply, "POST", COMPLETE))
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    with suppress(Transient):
        target.finish(clip, token)
    with pytest.raises(Transient) as raised:
        target.verify(clip, token)
    assert raised.value.key == "not-there"
    assert arrives(kit, target, clip, data, token) == 0


def test_a_short_clip_costs_seven_requests(kit: S3Kit, proxy: FaultProxy) -> None:
    """Who it is, what lies there, the manifest, the clip, what lies there now, its manifest, who it was."""
    data = content(SMALL)
    clip, target = kit.clip(data), through(kit, proxy)
    target.place()
    token = deliver(target, clip, data)
    target.verify(clip, token)
    methods = [seen.method for seen in proxy.seen]
    assert methods == ["GET", "HEAD", "PUT", "PUT", "HEAD", "GET", "GET"]


def test_a_manifest_that_is_damaged_on_its_way_back_is_nobody_elses(kit: S3Kit, proxy: FaultProxy) -> None:
    data = content(SMALL)
    clip, target = kit.clip(data), through(kit, proxy)
    token = deliver(target, clip, data)
    kit.remove(clip, manifest=False)
    proxy.add(Rule(Flip(at=40, way="out"), "GET", r"\.json$"))
    with pytest.raises(Transient) as raised:
        deliver(target, clip_with(clip, more="told"), data)
    assert raised.value.key == "target-answer"
    assert arrives(kit, target, clip, data, token) == SMALL


def test_a_mark_that_is_damaged_on_its_way_back_is_no_other_store(kit: S3Kit, proxy: FaultProxy) -> None:
    target = through(kit, proxy)
    before = target.place()
    proxy.add(Rule(Flip(at=30, way="out"), "GET", "recorder-station-target$"))
    with pytest.raises(Transient) as raised:
        target.place()
    assert raised.value.key == "target-answer"
    assert target.place() == before


def test_a_list_of_parts_that_is_damaged_on_its_way_never_has_the_clip_refused(
    kit: S3Kit, proxy: FaultProxy
) -> None:
    data = content(LARGE)
    clip, target = kit.clip(data), through(kit, proxy)
    token, struck = target.begin(clip), 0
    for at in range(0, 600, 37):
        proxy.clear()
        proxy.add(Rule(Flip(at, bit=at % 5), "POST", COMPLETE))
        try:
            target.finish(clip, send_all(target, clip, token, Bytes(data)))
        except Transient as error:
            token = target.begin(clip) if error.key == "token-lost" else token
        else:
            kit.remove(clip, manifest=False)
            token = target.begin(clip)
        struck += any(isinstance(seen.fault, Flip) for seen in proxy.seen)
    assert struck > 10
    arrives(kit, target, clip, data, token)


@pytest.mark.parametrize(("method", "path"), [("HEAD", PUT_CLIP), ("GET", r"\.json$")])
def test_one_answer_that_is_not_the_servers_puts_no_clip_off(
    kit: S3Kit, proxy: FaultProxy, method: str, path: str
) -> None:
    data = content(SMALL)
    clip, target = kit.clip(data), through(kit, proxy)
    deliver(target, clip, data)
    kit.remove(clip, manifest=False)
    if method == "HEAD":
        kit.place(clip, data)
    proxy.add(Rule(Reply(200, b"<html>Welcome to our network"), method, path))
    with pytest.raises(Transient) as raised:
        deliver(target, clip_with(clip, more="told"), data)
    assert raised.value.key == "target-answer"
    deliver(target, clip, data)
    assert kit.object(clip) == data


def test_an_answer_that_drips_does_not_hold_an_uploader(kit: S3Kit, proxy: FaultProxy) -> None:
    clip = kit.clip(content(SMALL))
    deliver(kit.target(), clip, content(SMALL))
    target = kit.target_at(proxy.url, timeouts=_PATIENCE, whole=0.5)
    proxy.add(Rule(Slow(5), "GET", r"\.json$"))
    with pytest.raises(Transient) as raised:
        target.holds(clip, "")
    assert raised.value.key == "target-silent"
    assert target.holds(clip, "")


def test_a_clip_that_drips_back_does_not_hold_an_uploader_and_whoever_reads_it_may_stop(
    kit: S3Kit, proxy: FaultProxy
) -> None:
    clip = kit.clip(content(SMALL))
    deliver(kit.target(), clip, content(SMALL))
    target = kit.target_at(proxy.url, timeouts=_PATIENCE, whole=0.5)
    proxy.add(Rule(Slow(5), "GET", r"\.mp4$", times=2))
    checks = list[int]()
    with pytest.raises(Transient) as raised:
        target.verify(clip, "", lambda: checks.append(1), read_back=True)
    assert raised.value.key == "target-silent"

    def stop() -> None:
        checks.append(1)
        if len(checks) > 3:
            raise Stopping

    checks.clear()
    with pytest.raises(Stopping):
        kit.target_at(proxy.url).verify(clip, "", stop, read_back=True)
    assert target.verify(clip, "", read_back=True).size == SMALL


@pytest.mark.parametrize("path", ["/a b", "/ü", "/a%20b/", "/!$&'()*+,;=:@[]", "/100%"])
def test_odd_letters_in_the_address_are_asked_for_as_they_are_signed(kit: S3Kit, path: str) -> None:
    """A proxy in front of a store may have it below a path."""
    bucket = kit.bucket(f"http://127.0.0.1:1{path}")
    url, _ = bucket._signed("GET", "x", {}, {}, "")
    assert requests.Request("GET", url).prepare().url == url
    assert unquote(url).startswith(f"http://127.0.0.1:1{unquote(path).rstrip('/')}/{kit.name}")


def listed(*parts: tuple[int, int], more: str = "") -> Reply:
    """What a server says of the (number, size) of parts that it has."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><Size>{size}</Size><ETag>e{number}</ETag></Part>"
        for number, size in parts
    )
    return Reply(200, f"<ListPartsResult>{more}{rows}</ListPartsResult>".encode())


@pytest.mark.parametrize(
    "lie",
    [
        listed((1, PART), (2, PART), (3, 77)),
        listed((1, PART), (3, 77)),
        listed((1, PART - 1)),
        listed((7, PART)),
        listed(),
        listed(
            (1, PART), more="<IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>"
        ),
        Reply(200, b"<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>"),
    ],
    ids=["all of it", "a gap", "a short part", "a part too many", "nothing", "round in circles", "no number"],
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_server_that_lies_about_what_it_has_gets_the_clip_all_the_same(
    kit: S3Kit, proxy: FaultProxy, lie: Reply, times: int
) -> None:
    data = content(LARGE)
    clip, target = kit.clip(data), through(kit, proxy)
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    proxy.add(Rule(lie, "GET", r"\?uploadId=", times=times))
    for _ in range(2 * times + 1):
        try:
            target.finish(clip, send_all(target, clip, token, Bytes(data)))
        except Transient as error:
            if error.key == "token-lost":
                token = target.begin(clip)
        else:
            break
    assert any(seen.fault is lie for seen in proxy.seen)
    assert target.verify(clip, token, read_back=True).sha256 == clip.manifest.sha256
    assert kit.object(clip) == data


def test_a_piece_passes_over_the_slowest_line_before_the_time_is_up() -> None:
    """A time-out of a socket is for all that is handed to it at once."""
    assert 0.6 * TIMEOUTS[0] > PIECE / SLOWEST
