"""What every target promises. A new kind of target is done when it has a kit here and this is green."""

from contextlib import nullcontext, suppress
from typing import Any

import pytest

from agent.errors import NotEqual, Rejected, Stopping, Transient
from agent.model import StoredClip, spans
from agent.upload.targets.base import Target
from tests.contract.kits import BARE, KITS, NAMED, Kit
from tests.uploading import Bytes, InterruptedTest, content, send_all

_LONG, _FEW = 16 << 20, 4 << 20  # bytes that are long to read; between two signs of life at most
#: (parts, bytes more than those)
SIZES = [(0, 0), (0, 1), (1, -1), (1, 0), (1, 1), (3, 0), (3, 7)]


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=NAMED)
def named(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=BARE)
def bare(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.getfixturevalue(request.param)
    return made


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def deliver(target: Target, clip: StoredClip, data: bytes) -> str:
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    target.finish(clip, token)
    return token


def arrive(target: Target, clip: StoredClip, data: bytes, token: str) -> str:
    """As an uploader goes on with a transfer: one that is lost is begun anew. Returns the last token."""
    for _ in range(3):
        try:
            token = send_all(target, clip, token, Bytes(data))
            target.finish(clip, token)
            return token
        except Transient as error:
            assert error.key == "token-lost", error
        with suppress(Transient):
            target.position(clip, token)
            continue
        token = target.begin(clip)
    raise AssertionError("it never arrives")


def vouched(target: Target, clip: StoredClip, token: str) -> bool:
    receipt = target.verify(clip, token)
    read = target.verify(clip, token, read_back=True)
    assert (read.place, read.location, read.size) == (receipt.place, receipt.location, receipt.size)
    assert (read.sha256 in clip.manifest.digests) == (receipt.sha256 in clip.manifest.digests)
    return receipt.size == clip.manifest.size and receipt.sha256 in clip.manifest.digests


@pytest.mark.parametrize("parts_and_more", SIZES)
def test_a_clip_arrives_whole_with_its_manifest_beside_it(kit: Kit, parts_and_more: tuple[int, int]) -> None:
    size = parts_and_more[0] * kit.part + parts_and_more[1]
    data, target = content(size), kit.target()
    clip = kit.clip(data)
    token = deliver(target, clip, data)
    assert vouched(target, clip, token)
    assert kit.object(clip) == data
    assert kit.transfer(token) is None
    beside = kit.manifest(clip)
    assert beside["officer"] == "王伟"
    assert (beside["size"], beside["sha256"]) == (clip.manifest.size, clip.manifest.sha256)
    assert beside["parts"] == [part.hex() for part in clip.manifest.parts]


def test_begin_sends_nothing(kit: Kit) -> None:
    target, clip = kit.target(), kit.clip(content(3 * kit.part))
    token = target.begin(clip)
    assert not kit.transfer(token)
    assert kit.object(clip) is None
    assert target.position(clip, token) == 0


@pytest.mark.parametrize("parts_and_more", SIZES)
def test_a_sender_that_dies_in_any_part_goes_on_with_that_part(
    kit: Kit, parts_and_more: tuple[int, int]
) -> None:
    size = parts_and_more[0] * kit.part + parts_and_more[1]
    data = content(size)
    for index, (offset, length) in enumerate(spans(size, kit.part)):
        clip = kit.clip(data, f"8888888/{index}.mp4")
        token = kit.target().begin(clip)
        with pytest.raises(InterruptedTest):
            send_all(kit.target(), clip, token, Bytes(data, fails_at=offset + length // 2))
        target, rest = kit.target(), Bytes(data)
        assert target.position(clip, token) == offset
        token = send_all(target, clip, token, rest)
        assert rest.read == size - offset
        target.finish(clip, token)
        assert vouched(target, clip, token)
        assert kit.object(clip) == data


def test_the_token_to_keep_finds_the_transfer_after_every_part(kit: Kit) -> None:
    data = content(3 * kit.part + 7)
    clip = kit.clip(data)
    token = kit.target().begin(clip)
    for offset, length in spans(len(data), kit.part):
        token = kit.target().send(clip, token, Bytes(data), offset, length)
        assert kit.target().position(clip, token) == offset + length


CUT = [
    # parts sent, what is then held of them, parts and bytes more that may be claimed
    (2, lambda data, part: data[: part + 9], (1, 0)),
    (2, lambda data, part: data[:5], (0, 0)),
    (2, lambda data, part: data + b"x" * 9, (2, 0)),
    (2, lambda data, part: data + b"x" * 5 * part, (2, 0)),
    (4, lambda data, part: data + b"x", (3, 7)),
]
FLIPPED = [
    (2, lambda data, part: flipped(data, 2 * part - 1), (1, 0)),
    (2, lambda data, part: flipped(data, part), (1, 0)),
    (2, lambda data, part: flipped(flipped(data, 0), part), (0, 0)),
    (4, lambda data, part: flipped(data, 3 * part), (3, 0)),
    (4, lambda data, part: bytes(len(data)), (0, 0)),
]


@pytest.mark.parametrize(("sent", "held", "claim"), CUT + FLIPPED)
def test_a_position_never_claims_more_than_is_there(
    kit: Kit, sent: int, held: Any, claim: tuple[int, int]
) -> None:
    """Where only the server could tell that a part is not what it was, it must not become an object, or
    not be vouched for."""
    data = content(3 * kit.part + 7)
    clip, target = kit.clip(data), kit.target()
    token = target.begin(clip)
    for offset, length in list(spans(len(data), kit.part))[:sent]:
        token = target.send(clip, token, Bytes(data), offset, length)
    if kit.appends and sent == 4:
        assert kit.transfer(token) is None, "an object, and no transfer any more"
        assert kit.object(clip) == data
        return
    kit.set_transfer(token, held(data[: min(len(data), sent * kit.part)], kit.part))
    target = kit.target()
    seen = kit.compares_parts or (sent, held, claim) in CUT
    with suppress(Transient):
        assert not seen or target.position(clip, token) <= claim[0] * kit.part + claim[1]
    token = arrive(target, clip, data, token)
    if kit.appends and not vouched(target, clip, token):
        token = arrive(target, clip, data, target.begin(clip, anew=True))
    assert vouched(target, clip, token)
    assert kit.object(clip) == data


@pytest.mark.parametrize("parts_and_more", SIZES)
def test_finish_may_be_repeated(kit: Kit, parts_and_more: tuple[int, int]) -> None:
    size = parts_and_more[0] * kit.part + parts_and_more[1]
    data = content(size)
    clip = kit.clip(data)
    token = deliver(kit.target(), clip, data)
    for _ in range(2):
        target = kit.target()
        assert target.position(clip, token) == size
        target.finish(clip, token)
        assert vouched(target, clip, token)
    assert kit.object(clip) == data


def test_finish_refuses_a_transfer_that_is_not_complete(kit: Kit) -> None:
    data = content(3 * kit.part)
    clip, target = kit.clip(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, kit.part)
    with pytest.raises(Transient):
        target.finish(clip, token)
    assert kit.object(clip) is None
    assert target.position(clip, token) in (0, kit.part)


def test_a_clip_that_is_there_already_is_not_sent_again(named: Kit) -> None:
    data = content(2 * named.part)
    clip = named.clip(data)
    deliver(named.target(), clip, data)
    reader, target = Bytes(data), named.target()
    token = send_all(target, clip, target.begin(clip), reader)
    target.finish(clip, token)
    assert vouched(target, clip, token)
    assert reader.read == 0


def test_without_names_clips_of_one_key_lie_beside_each_other(bare: Kit) -> None:
    """Also the same one twice: nothing is found by its key, and nothing replaced."""
    contents = [content(2 * bare.part, seed) for seed in (0, 9, 0)]
    clips, target = [bare.clip(data) for data in contents], bare.target()
    tokens = [deliver(target, clip, data) for clip, data in zip(clips, contents, strict=True)]
    for clip, token in zip(clips, tokens, strict=True):
        assert vouched(bare.target(), clip, token)
        assert target.holds(clip, token)


@pytest.mark.parametrize("other", [b"", b"something else", None], ids=["empty", "short", "as long"])
def test_other_content_is_never_replaced(named: Kit, other: bytes | None) -> None:
    data = content(2 * named.part)
    clip, target = named.clip(data), named.target()
    token = target.begin(clip)
    other = content(len(data), seed=9) if other is None else other
    named.place(clip, other)
    with pytest.raises(Rejected) as raised:
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
    assert raised.value.key == "target-conflict"
    assert named.object(clip) == other


@pytest.mark.parametrize("parts", [1, 2])
def test_another_clip_under_the_same_key_is_never_replaced(named: Kit, parts: int) -> None:
    """Also when nobody asked for the position before."""
    first, second = content(parts * named.part), content(parts * named.part, seed=9)
    clip, other, target = named.clip(first), named.clip(second), named.target()
    token = deliver(target, clip, first)
    before = named.manifest(clip)
    with pytest.raises(Rejected) as raised:
        late = target.begin(other)
        for offset, length in spans(len(second), named.part):
            late = target.send(other, late, Bytes(second), offset, length)
        target.finish(other, late)
    assert raised.value.key == "target-conflict"
    assert named.object(clip) == first
    assert named.manifest(clip) == before
    assert vouched(target, clip, token)


def test_other_content_that_comes_during_the_transfer_is_never_replaced(named: Kit) -> None:
    data = content(2 * named.part)
    clip, target = named.clip(data), named.target()
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    named.place(clip, b"something else")
    with pytest.raises(Rejected):
        target.finish(clip, token)
    assert named.object(clip) == b"something else"


@pytest.mark.parametrize(("parts", "more"), [(0, 0), (1, 0), (3, 6)])
def test_verify_reports_a_flipped_bit(kit: Kit, parts: int, more: int) -> None:
    data = content(3 * kit.part + 7)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    kit.place(clip, flipped(data, parts * kit.part + more))
    receipt = target.verify(clip, token)
    assert receipt.size == len(data)
    assert receipt.sha256 not in clip.manifest.digests


@pytest.mark.parametrize("more", [None, -1, 1])
def test_verify_reports_another_size(kit: Kit, more: int | None) -> None:
    data = content(3 * kit.part)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    there = b"" if more is None else (data + b"x")[: len(data) + more]
    kit.place(clip, there)
    receipt = target.verify(clip, token)
    assert receipt.size == len(there)
    assert receipt.sha256 not in clip.manifest.digests


@pytest.mark.parametrize("manifest", [True, False])
def test_verify_misses_a_clip_or_a_manifest_that_is_gone(kit: Kit, manifest: bool) -> None:
    data = content(kit.part)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    kit.remove(clip, manifest=manifest)
    with pytest.raises(Transient) as raised:
        target.verify(clip, token)
    assert raised.value.key == "not-there"
    token = deliver(target, clip, data)
    assert vouched(target, clip, token)


@pytest.mark.parametrize("parts_and_more", [(0, 0), (0, 1), (1, 0), (3, 7)])
def test_a_clip_is_read_as_it_lies_there(kit: Kit, parts_and_more: tuple[int, int]) -> None:
    data = content(parts_and_more[0] * kit.part + parts_and_more[1])
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    pieces = list(kit.target().read(clip, token))
    assert b"".join(pieces) == data
    assert all(len(piece) <= _FEW for piece in pieces)
    if data:
        kit.place(clip, flipped(data, len(data) // 2))
        assert b"".join(kit.target().read(clip, token)) == flipped(data, len(data) // 2)


def test_what_is_not_there_cannot_be_read(kit: Kit) -> None:
    data = content(kit.part)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    kit.remove(clip, manifest=False)
    for one in (token, ""):
        with pytest.raises(Transient) as raised:
            list(kit.target().read(clip, one))
        assert raised.value.key == "not-there"


def test_whoever_reads_may_stop_at_any_piece(kit: Kit) -> None:
    data = content(_LONG)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    reading = target.read(clip, token)
    assert data.startswith(next(reading))
    reading.close()  # type: ignore[attr-defined]
    assert vouched(kit.target(), clip, token)


def test_a_target_tells_whether_it_still_has_a_clip(kit: Kit) -> None:
    data = content(kit.part)
    clip, target = kit.clip(data), kit.target()
    assert not target.holds(clip, "")
    token = deliver(target, clip, data)
    assert kit.target().holds(clip, token)
    kit.place(clip, data[:-1])
    assert not kit.target().holds(clip, token)


@pytest.mark.parametrize("manifest", [True, False])
def test_a_target_does_not_hold_what_is_gone(kit: Kit, manifest: bool) -> None:
    data = content(kit.part)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    kit.remove(clip, manifest=manifest)
    assert not kit.target().holds(clip, token)


def test_verify_knows_nothing_of_a_clip_that_was_never_sent(kit: Kit) -> None:
    with pytest.raises(Transient) as raised:
        kit.target().verify(kit.clip(b"x"), "")
    assert raised.value.key == "not-there"


def test_a_lost_transfer_begins_again(kit: Kit) -> None:
    data = content(3 * kit.part)
    clip, target = kit.clip(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, kit.part)
    kit.set_transfer(token, None)
    with pytest.raises(Transient):
        target.send(clip, token, Bytes(data), kit.part, kit.part)
    try:
        assert kit.target().position(clip, token) == 0
    except Transient as lost:
        assert lost.key == "token-lost"
    token = arrive(target, clip, data, token)
    assert vouched(target, clip, token)


@pytest.mark.parametrize("token", ["nonsense", "../../../etc/passwd", "a" * 300, "\0", "."])
def test_a_token_that_it_never_gave_is_lost(kit: Kit, token: str) -> None:
    data = content(kit.part)
    clip, target = kit.clip(data), kit.target()
    for use in (
        lambda: target.position(clip, token),
        lambda: target.send(clip, token, Bytes(data), 0, kit.part),
        lambda: target.finish(clip, token),
    ):
        with pytest.raises(Transient) as raised:
            use()
        assert raised.value.key == "token-lost"


def test_abort_forgets_the_transfer(kit: Kit) -> None:
    data = content(3 * kit.part)
    clip, target = kit.clip(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, kit.part)
    target.abort(clip, token)
    assert kit.transfer(token) is None
    target.abort(clip, token)
    token = deliver(target, clip, data)
    assert vouched(target, clip, token)


def test_abort_leaves_alone_what_was_finished(kit: Kit) -> None:
    data = content(3 * kit.part)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)
    target.abort(clip, token)
    assert vouched(target, clip, token)


@pytest.mark.parametrize("index", [0, 1, 3])
@pytest.mark.parametrize("how", ["flipped", "short"])
def test_a_part_that_is_not_what_was_stored_is_never_kept(kit: Kit, index: int, how: str) -> None:
    data = content(3 * kit.part + 7)
    clip, target = kit.clip(data), kit.target()
    token = target.begin(clip)
    bad = Bytes(flipped(data, index * kit.part + 3) if how == "flipped" else data[: index * kit.part + 3])
    with pytest.raises(NotEqual) as raised:
        send_all(target, clip, token, bad)
    assert raised.value.params["part"] == index
    assert len(kit.transfer(token) or b"") <= index * kit.part
    assert target.position(clip, token) == index * kit.part


def test_the_sweep_takes_what_nobody_goes_on_with_and_nothing_else(named: Kit) -> None:
    data = content(3 * named.part)
    ours, orphan, done = (named.clip(data, f"8888888/{name}.mp4") for name in ("ours", "orphan", "done"))
    target = named.target()
    going = target.send(ours, target.begin(ours), Bytes(data), 0, named.part)
    left = target.send(orphan, target.begin(orphan), Bytes(data), 0, named.part)
    token = deliver(target, done, data)
    assert target.sweep({going}, age=3600) == 0
    assert named.transfer(left) is not None
    assert target.sweep({going}, age=-3600) == 1
    assert named.transfer(left) is None
    target.finish(ours, send_all(target, ours, going, Bytes(data)))
    assert vouched(target, ours, going)
    assert vouched(target, done, token)
    assert target.sweep((), age=-3600) == 0


def test_without_names_nothing_is_swept(bare: Kit) -> None:
    data = content(3 * bare.part)
    clip, target = bare.clip(data), bare.target()
    left = target.send(clip, target.begin(clip), Bytes(data), 0, bare.part)
    assert target.sweep((), age=-3600) == 0
    assert target.position(clip, left) == bare.part


def test_two_stations_that_send_the_same_clip_do_not_disturb_each_other(kit: Kit) -> None:
    data = content(3 * kit.part)
    clip, one, other = kit.clip(data), kit.target(), kit.target()
    first, second = one.begin(clip), other.begin(clip)
    for offset, length in spans(len(data), kit.part):
        first = one.send(clip, first, Bytes(data), offset, length)
        if offset == 0:
            second = other.send(clip, second, Bytes(data), offset, length)
    one.finish(clip, first)
    second = send_all(other, clip, second, Bytes(data))
    other.finish(clip, second)
    assert vouched(one, clip, first)
    assert vouched(other, clip, second)
    assert kit.object(clip) == data
    assert kit.transfer(first) is kit.transfer(second) is None


@pytest.mark.parametrize("does", ["position", "finish", "verify", "read"])
def test_long_reading_back_can_be_stopped(kit: Kit, does: str) -> None:
    """At its first sign of life, and in the middle of what it reads."""
    data = content(_LONG)
    clip, target = kit.clip(data), kit.target()
    token = deliver(target, clip, data)

    def signs(stop_at: int | None = None) -> int:
        """How many it gives until it ends, or is stopped."""
        given = 0

        def check() -> None:
            nonlocal given
            given += 1
            if given == stop_at:
                raise Stopping

        with pytest.raises(Stopping) if stop_at else nullcontext():
            match does:
                case "position":
                    target.position(clip, token, check)
                case "finish":
                    target.finish(clip, token, check)
                case "verify":
                    target.verify(clip, token, check, read_back=True)
                case "read":
                    assert sum(map(len, target.read(clip, token, check))) == len(data)
        return given

    every = signs()
    assert every > _LONG // _FEW or (does not in ("verify", "read") and every > 0)
    for stop_at in {1, every // 2 or 1}:
        assert signs(stop_at) == stop_at


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", "a/./b", "a\0b",
        "x" * 256, "x" * 251, "名" * 86, "a/" + "x" * 300 + "/b", "\ud800",
    ],
)  # fmt: skip
def test_a_key_that_is_no_plain_path_is_refused(kit: Kit, key: str) -> None:
    with pytest.raises(Rejected) as raised:
        kit.target().begin(kit.clip(b"x", key))
    assert raised.value.key == "target-name"


@pytest.mark.parametrize("key", ["x", "a/b/c/d/e", "名前/王伟.mp4", "a b\n\u202e.mp4", "x" * 250, "..."])
def test_an_odd_but_plain_key_is_taken(kit: Kit, key: str) -> None:
    clip, target = kit.clip(b"x", key), kit.target()
    token = deliver(target, clip, b"x")
    assert vouched(target, clip, token)
