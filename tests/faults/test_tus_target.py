"""tus over a bad network, and with servers that refuse and lie: no server of the three is believed before the
clip was read back, what was sent stays sent, and every refusal says what to do."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.model import StoredClip
from agent.upload.targets import document
from agent.upload.targets.base import Target
from agent.upload.targets.http import Damaged
from tests.contract.tus_kit import BareKit, ResumableKit, TusKit, WeedTusKit
from tests.servers.faults import Fault, Flip, HalfOpen, LoseResponse, Reply, Reset, Rule, Stall, retry_after
from tests.servers.proxy import FaultProxy
from tests.servers.weed import Weed
from tests.uploading import PART, Bytes, content, send_all

T = TypeVar("T")
_PATIENCE = (4.0, 4.0)  # seconds: a stall must not last as long as on a station
SIZE = 3 * PART + 77
OFFER = (("Tus-Version", "1.0.0"), ("Tus-Extension", "creation,checksum"))


class Watched(Bytes):
    lowest = SIZE

    def pread(self, length: int, offset: int) -> bytes:
        self.lowest = min(self.lowest, offset)
        return super().pread(length, offset)


def through(tus: TusKit, line: FaultProxy) -> Target:
    return tus.target_at(tus.through(line.port), timeouts=_PATIENCE)


def patiently(work: Callable[[], T], line: FaultProxy) -> T:
    """As an uploader: what may pass is tried again. A server may hold on to a sender that is gone."""
    for tried in range(100):
        try:
            return work()
        except Transient as error:
            if error.key == "token-lost":
                raise
        if tried == 15:
            line.end_half_open()  # at last it hears of it
        threading.Event().wait(1)
    raise AssertionError("it never gets on")


def arrives(tus: TusKit, target: Target, clip: StoredClip, data: bytes, token: str, line: FaultProxy) -> int:
    """It goes on over a good network, with nothing of what is before its position; bytes behind that."""
    line.clear()
    position = patiently(lambda: target.position(clip, token), line)
    reader = Watched(data)
    patiently(lambda: target.finish(clip, send_all(target, clip, token, reader)), line)
    assert target.verify(clip, token).sha256 == clip.manifest.sha256
    assert tus.object(clip) == data
    assert reader.lowest >= position
    return len(data) - position


@pytest.mark.parametrize("part", [1, 2])
def test_a_bit_that_flips_on_the_way_is_never_vouched_for(tus: TusKit, line: FaultProxy, part: int) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    line.add(Rule(Flip(at=PART // 2), "PATCH", nth=part))
    if isinstance(tus, ResumableKit):
        with pytest.raises(Damaged):
            send_all(target, clip, token, Bytes(data))
        assert tus.object(clip) is None
        assert arrives(tus, target, clip, data, token, line) == SIZE - (part - 1) * PART
        return
    target.finish(clip, send_all(target, clip, token, Bytes(data)))
    receipt = target.verify(clip, token)
    assert receipt.size == SIZE
    assert receipt.sha256 not in clip.manifest.digests
    assert arrives(tus, target, clip, data, target.begin(clip, anew=True), line) == SIZE


@pytest.mark.parametrize("at", [0, 55])
def test_a_bit_that_flips_in_the_manifest_is_never_kept(tus: TusKit, line: FaultProxy, at: int) -> None:
    """Not even one of an officer's name, of which no digest tells."""
    data = content(PART)
    clip, target = tus.clip(data), through(tus, line)
    line.add(Rule(Flip(at=at), "PATCH", nth=1))
    with suppress(Damaged):
        target.begin(clip)
        target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(data)))
    flipped = [seen for seen in line.seen if seen.fault]
    assert len(flipped) == 1
    target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(data)))
    assert tus.manifest(clip)["officer"] == "王伟"


@pytest.mark.parametrize("later", [False, True], ids=["its first", "its next"])
@pytest.mark.parametrize("readable", [False, True], ids=["no manifest", "of something else"])
def test_a_manifest_that_was_damaged_and_not_looked_at_before_a_cut_refuses_no_clip(
    tus: TusKit, line: FaultProxy, readable: bool, later: bool
) -> None:
    """It lies there as if it were somebody else's. `later`: the clip was there already."""
    data = content(PART)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    if later:
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
        clip = replace(clip, document={**clip.document, "officer": "李娜"})
    at = document.write(clip).index(clip.manifest.sha256.encode()) if readable else 0
    bit = 7 if not readable else 0 if clip.manifest.sha256[0] not in "af" else 1
    line.add(Rule(Flip(at=at, bit=bit), "PATCH"))
    line.add(Rule(Reset(0, "out"), "GET", r"\.json$", nth=3 if later else 2))
    with suppress(Transient):
        token = target.begin(clip) if isinstance(tus, BareKit) else token
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
    arrives(tus, through(tus, line), clip, data, target.begin(clip), line)
    assert tus.manifest(clip)["officer"] == clip.document["officer"]


def test_a_clip_that_is_called_like_a_manifest_is_never_replaced(weed: Weed) -> None:
    first, second = content(100), content(200)
    with WeedTusKit(weed) as kit:
        other, clip, target = kit.clip(first, "8/1/a.0123.json"), kit.clip(second, "8/1/a.0123"), kit.target()
        target.finish(other, send_all(target, other, target.begin(other), Bytes(first)))
        with pytest.raises(Rejected) as raised:
            target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(second)))
        assert raised.value.key == "target-conflict"
        assert kit.object(other) == first


def test_a_last_answer_that_is_lost_costs_no_byte(tus: TusKit, line: FaultProxy) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    line.add(Rule(LoseResponse(), "PATCH", nth=5 if isinstance(tus, WeedTusKit) else 4))
    with pytest.raises(Transient):
        send_all(target, clip, token, Bytes(data))
    assert arrives(tus, target, clip, data, token, line) == 0


@pytest.mark.parametrize(
    "fault",
    [Reset(after=20_000), Stall(after=20_000), HalfOpen(after=20_000), LoseResponse()],
    ids=lambda fault: type(fault).__name__,
)
def test_a_part_that_breaks_off_is_gone_on_with(tus: TusKit, line: FaultProxy, fault: Fault) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    line.add(Rule(fault, "PATCH", nth=2))
    with pytest.raises(Transient):
        send_all(target, clip, token, Bytes(data))
    assert arrives(tus, target, clip, data, token, line) in (SIZE - PART, SIZE - 2 * PART)


def test_an_upload_whose_begin_was_not_heard_is_begun_again(tus: TusKit, line: FaultProxy) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    line.add(Rule(LoseResponse(), "POST"))
    with pytest.raises(Transient):
        target.begin(clip)
    assert arrives(tus, target, clip, data, target.begin(clip), line) == SIZE


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(400), Rejected),
        (Reply(401), AuthFailed),
        (Reply(403), AuthFailed),
        (Reply(403, early=True), AuthFailed),
        (Reply(408), Transient),
        (Reply(409), Transient),
        (Reply(413), Rejected),
        (Reply(413, early=True), Rejected),
        (Reply(423), Transient),
        (retry_after(429, 3), Transient),
        (Reply(500), Transient),
        (retry_after(503, 3), Transient),
        (Reply(507), TargetFull),
        (Reply(302, headers=(("Location", "http://127.0.0.1:1/"),)), AuthFailed),
        (Reply(204, headers=(("Upload-Offset", "5"),)), Transient),
        (Reply(204), Transient),
    ],
    ids=lambda value: f"{value.status} {value.early}" if isinstance(value, Reply) else "",
)
def test_a_refusal_says_what_to_do_and_loses_nothing(
    tus: TusKit, line: FaultProxy, reply: Reply, kind: type[StationError]
) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    line.add(Rule(reply, "PATCH", nth=2))
    with pytest.raises(kind) as raised:
        send_all(target, clip, token, Bytes(data))
    if dict(reply.headers).get("Retry-After"):
        assert isinstance(raised.value, Transient) and raised.value.retry_after == 3
    assert arrives(tus, target, clip, data, token, line) == SIZE - PART


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_an_upload_that_the_server_forgot_is_lost(
    tus: TusKit, line: FaultProxy, method: str, status: int
) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    line.add(Rule(Reply(status), method, token.split(" ")[0]))
    with pytest.raises(Transient) as raised:
        send_all(target, clip, token, Bytes(data))
    assert raised.value.key == "token-lost"
    assert arrives(tus, target, clip, data, target.begin(clip), line) == SIZE


def test_a_clip_that_is_larger_than_the_server_takes_is_not_begun(tus: TusKit, line: FaultProxy) -> None:
    clip, target = tus.clip(content(SIZE)), through(tus, line)
    line.clear()
    line.add(Rule(Reply(204, headers=(*OFFER, ("Tus-Max-Size", str(SIZE - 1)))), "OPTIONS"))
    with pytest.raises(Rejected) as raised:
        target.begin(clip)
    assert raised.value.key == "target-too-large"
    assert line.count("POST") == 0


@pytest.mark.parametrize(
    ("offset", "length", "position"),
    [
        (str(SIZE + 1), SIZE, None),
        ("9" * 18, SIZE, None),
        (str(PART), SIZE + 1, None),
        (str(PART), PART, None),
        ("-1", SIZE, None),
        ("", SIZE, None),
        ("1e3", SIZE, None),
        ("0", SIZE, 0),
        (str(PART), SIZE, PART),
        (str(PART + 5), SIZE, PART),
        (str(2 * PART + 5), SIZE, 2 * PART),
        (str(SIZE - 1), SIZE, 3 * PART),
    ],
)
def test_a_server_that_lies_about_its_offset_gets_the_clip_whole(
    tus: TusKit, line: FaultProxy, offset: str, length: int, position: int | None
) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.begin(clip)
    for number in (0, 1):
        token = target.send(clip, token, Bytes(data), number * PART, PART)
    lie = (("Upload-Offset", offset), ("Upload-Length", str(length)))
    line.add(Rule(Reply(200, headers=lie), "HEAD", token.split(" ")[0]))
    if position is None:
        with pytest.raises(Transient):
            target.position(clip, token)
    else:
        assert target.position(clip, token) == position
        with pytest.raises(Transient):  # 409
            target.send(clip, token, Bytes(data), position, min(PART, SIZE - position))
    assert arrives(tus, target, clip, data, token, line) == SIZE - 2 * PART


def test_a_server_that_says_it_has_all_and_has_not_is_not_believed(tus: TusKit, line: FaultProxy) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    lie = (("Upload-Offset", str(SIZE)), ("Upload-Length", str(SIZE)))
    line.add(Rule(Reply(200, headers=lie), "HEAD", token.split(" ")[0], times=100))
    assert target.position(clip, token) == SIZE
    with pytest.raises(Transient):
        target.finish(clip, token)
        target.verify(clip, token)
    assert arrives(tus, target, clip, data, token, line) == SIZE - PART


def test_nothing_is_sent_to_another_server_than_the_one_that_is_configured(
    tus: TusKit, line: FaultProxy
) -> None:
    clip, target = tus.clip(content(SIZE)), through(tus, line)
    elsewhere = (("Location", "http://192.0.2.1/there/1"), ("Upload-Offset", "0"))
    line.add(Rule(Reply(201, headers=elsewhere), "POST", times=2))
    line.add(Rule(Reply(204, headers=(("Upload-Offset", "0"),)), "HEAD", "/there/1"))
    with pytest.raises(Transient):
        target.position(clip, target.begin(clip))
    assert line.count("HEAD|PATCH", "/there/1") == 1


def test_a_server_that_compares_by_sha1_is_given_that(tus: TusKit, line: FaultProxy) -> None:
    data = content(SIZE)
    clip, target = tus.clip(data), through(tus, line)
    offer = Reply(204, headers=(*OFFER, ("Tus-Checksum-Algorithm", "md5, sha1")))
    line.add(Rule(offer, "OPTIONS", times=100))
    token = target.begin(clip)
    line.add(Rule(Flip(at=9), "PATCH", nth=1))
    if isinstance(tus, ResumableKit):  # of the others it is a lie
        with pytest.raises(Damaged):
            send_all(target, clip, token, Bytes(data))
    else:
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
        assert target.verify(clip, token).sha256 not in clip.manifest.digests
        token = target.begin(clip, anew=True)
    assert arrives(tus, target, clip, data, token, line) == SIZE
