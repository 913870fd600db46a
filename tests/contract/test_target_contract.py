"""What every target promises. A new kind of target is done when it has a kit here and this is green."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from agent.errors import NotEqual, Rejected, Stopping, Transient
from agent.model import StoredClip, spans
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget
from tests.uploading import PART, Bytes, InterruptedTest, clip_of, content, send_all

SIZES = [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 7]


class Kit(Protocol):
    """A kind of target, and a way round it to what it keeps."""

    def target(self) -> Target:
        """A new one, as after a restart of the station."""
        ...

    def object(self, clip: StoredClip) -> bytes | None: ...
    def manifest(self, clip: StoredClip) -> Any: ...
    def place(self, clip: StoredClip, data: bytes) -> None:
        """Put an object under the clip's key, or other bytes into the one that is there."""
        ...

    def remove(self, clip: StoredClip, *, manifest: bool) -> None: ...
    def transfer(self, token: str) -> bytes | None:
        """What it holds of a transfer under way; None when it holds nothing."""
        ...

    def set_transfer(self, token: str, data: bytes | None) -> None: ...


class FolderKit:
    def __init__(self, root: Path) -> None:
        self.root = root / "share"
        self.root.mkdir()
        self._first_contact = True

    def target(self) -> Target:
        made = FolderTarget("centre", self.root, first_contact=self._first_contact)
        self._first_contact = False
        if not any(self.root.iterdir()):
            made.begin(clip_of(b""))
        return made

    def object(self, clip: StoredClip) -> bytes | None:
        return _read(self.root / "clips" / clip.key)

    def manifest(self, clip: StoredClip) -> Any:
        return json.loads((self.root / "clips" / f"{clip.key}.json").read_bytes())

    def place(self, clip: StoredClip, data: bytes) -> None:
        path = self.root / "clips" / clip.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self, clip: StoredClip, *, manifest: bool) -> None:
        (self.root / "clips" / (clip.key + (".json" if manifest else ""))).unlink()

    def transfer(self, token: str) -> bytes | None:
        return _read(self.root / "incoming" / f"{token}.part")

    def set_transfer(self, token: str, data: bytes | None) -> None:
        path = self.root / "incoming" / f"{token}.part"
        path.unlink() if data is None else path.write_bytes(data)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@pytest.fixture(params=[FolderKit])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    made: Kit = request.param(tmp_path)
    yield made


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def deliver(target: Target, clip: StoredClip, data: bytes) -> str:
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    target.finish(clip, token)
    return token


def vouched(target: Target, clip: StoredClip) -> bool:
    receipt = target.verify(clip)
    return (receipt.size, receipt.sha256) == (clip.manifest.size, clip.manifest.sha256)


@pytest.mark.parametrize("size", SIZES)
def test_a_clip_arrives_whole_with_its_manifest_beside_it(kit: Kit, size: int) -> None:
    data, target = content(size), kit.target()
    clip = clip_of(data)
    token = deliver(target, clip, data)
    assert vouched(target, clip)
    assert kit.object(clip) == data
    assert kit.transfer(token) is None
    beside = kit.manifest(clip)
    assert beside["officer"] == "王伟"
    assert (beside["size"], beside["sha256"]) == (clip.manifest.size, clip.manifest.sha256)
    assert beside["parts"] == [part.hex() for part in clip.manifest.parts]


def test_begin_sends_nothing(kit: Kit) -> None:
    target, clip = kit.target(), clip_of(content(3 * PART))
    token = target.begin(clip)
    assert not kit.transfer(token)
    assert kit.object(clip) is None
    assert target.position(clip, token) == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_sender_that_dies_in_any_part_goes_on_with_that_part(kit: Kit, size: int) -> None:
    data = content(size)
    for index, (offset, length) in enumerate(spans(size, PART)):
        clip = clip_of(data, f"8888888/{index}.mp4")
        token = kit.target().begin(clip)
        with pytest.raises(InterruptedTest):
            send_all(kit.target(), clip, token, Bytes(data, fails_at=offset + length // 2))
        target, rest = kit.target(), Bytes(data)
        assert target.position(clip, token) == offset
        token = send_all(target, clip, token, rest)
        assert rest.read == size - offset
        target.finish(clip, token)
        assert vouched(target, clip)
        assert kit.object(clip) == data


def test_the_token_to_keep_finds_the_transfer_after_every_part(kit: Kit) -> None:
    data = content(3 * PART + 7)
    clip = clip_of(data)
    token = kit.target().begin(clip)
    for offset, length in spans(len(data), PART):
        token = kit.target().send(clip, token, Bytes(data), offset, length)
        assert kit.target().position(clip, token) == offset + length


@pytest.mark.parametrize(
    ("sent", "held", "claim"),
    [
        (2, lambda data: flipped(data, 2 * PART - 1), PART),
        (2, lambda data: flipped(data, PART), PART),
        (2, lambda data: flipped(flipped(data, 0), PART), 0),
        (2, lambda data: data[: PART + 9], PART),
        (2, lambda data: data[:5], 0),
        (2, lambda data: data + b"x" * 9, 2 * PART),
        (2, lambda data: data + b"x" * 5 * PART, 2 * PART),
        (4, lambda data: data + b"x", 3 * PART + 7),
        (4, lambda data: flipped(data, 3 * PART), 3 * PART),
        (4, lambda data: bytes(len(data)), 0),
    ],
)
def test_a_position_never_claims_more_than_is_there(kit: Kit, sent: int, held: Any, claim: int) -> None:
    data = content(3 * PART + 7)
    clip, target = clip_of(data), kit.target()
    token = target.begin(clip)
    for offset, length in list(spans(len(data), PART))[:sent]:
        token = target.send(clip, token, Bytes(data), offset, length)
    kit.set_transfer(token, held(kit.transfer(token)))
    target = kit.target()
    assert target.position(clip, token) <= claim
    target.finish(clip, send_all(target, clip, token, Bytes(data)))
    assert vouched(target, clip)
    assert kit.object(clip) == data


@pytest.mark.parametrize("size", SIZES)
def test_finish_may_be_repeated(kit: Kit, size: int) -> None:
    data = content(size)
    clip = clip_of(data)
    token = deliver(kit.target(), clip, data)
    for _ in range(2):
        target = kit.target()
        assert target.position(clip, token) == size
        target.finish(clip, token)
        assert vouched(target, clip)
    assert kit.object(clip) == data


def test_finish_refuses_a_transfer_that_is_not_complete(kit: Kit) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    with pytest.raises(Transient):
        target.finish(clip, token)
    assert kit.object(clip) is None
    assert target.position(clip, token) in (0, PART)


def test_a_clip_that_is_there_already_is_not_sent_again(kit: Kit) -> None:
    data = content(2 * PART)
    clip = clip_of(data)
    deliver(kit.target(), clip, data)
    reader, target = Bytes(data), kit.target()
    target.finish(clip, send_all(target, clip, target.begin(clip), reader))
    assert vouched(target, clip)
    assert reader.read == 0


@pytest.mark.parametrize("other", [b"", b"something else", content(2 * PART, seed=9)], ids=len)
def test_other_content_is_never_replaced(kit: Kit, other: bytes) -> None:
    data = content(2 * PART)
    clip, target = clip_of(data), kit.target()
    token = target.begin(clip)
    kit.place(clip, other)
    with pytest.raises(Rejected) as raised:
        target.finish(clip, send_all(target, clip, token, Bytes(data)))
    assert raised.value.key == "target-conflict"
    assert kit.object(clip) == other


def test_other_content_that_comes_during_the_transfer_is_never_replaced(kit: Kit) -> None:
    data = content(2 * PART)
    clip, target = clip_of(data), kit.target()
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    kit.place(clip, b"something else")
    with pytest.raises(Rejected):
        target.finish(clip, token)
    assert kit.object(clip) == b"something else"


@pytest.mark.parametrize("at", [0, PART, 3 * PART + 6])
def test_verify_reports_a_flipped_bit(kit: Kit, at: int) -> None:
    data = content(3 * PART + 7)
    clip, target = clip_of(data), kit.target()
    deliver(target, clip, data)
    kit.place(clip, flipped(data, at))
    receipt = target.verify(clip)
    assert receipt.size == len(data)
    assert receipt.sha256 != clip.manifest.sha256


@pytest.mark.parametrize("there", [b"", content(3 * PART)[:-1], content(3 * PART) + b"x"], ids=len)
def test_verify_reports_another_size(kit: Kit, there: bytes) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    deliver(target, clip, data)
    kit.place(clip, there)
    receipt = target.verify(clip)
    assert receipt.size == len(there)
    assert receipt.sha256 != clip.manifest.sha256


@pytest.mark.parametrize("manifest", [True, False])
def test_verify_misses_a_clip_or_a_manifest_that_is_gone(kit: Kit, manifest: bool) -> None:
    data = content(PART)
    clip, target = clip_of(data), kit.target()
    deliver(target, clip, data)
    kit.remove(clip, manifest=manifest)
    with pytest.raises(Transient) as raised:
        target.verify(clip)
    assert raised.value.key == "not-there"
    deliver(target, clip, data)
    assert vouched(target, clip)


def test_verify_knows_nothing_of_a_clip_that_was_never_sent(kit: Kit) -> None:
    with pytest.raises(Transient) as raised:
        kit.target().verify(clip_of(b"x"))
    assert raised.value.key == "not-there"


def test_a_lost_transfer_begins_again(kit: Kit) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    kit.set_transfer(token, None)
    with pytest.raises(Transient):
        target.send(clip, token, Bytes(data), PART, PART)
    try:
        assert kit.target().position(clip, token) == 0
    except Transient as lost:
        assert lost.key == "token-lost"
        token = kit.target().begin(clip)
    target.finish(clip, send_all(target, clip, token, Bytes(data)))
    assert vouched(target, clip)


@pytest.mark.parametrize("token", ["nonsense", "../../../etc/passwd", "a" * 300, "\0", "."])
def test_a_token_that_it_never_gave_is_lost(kit: Kit, token: str) -> None:
    data = content(PART)
    clip, target = clip_of(data), kit.target()
    for use in (
        lambda: target.position(clip, token),
        lambda: target.send(clip, token, Bytes(data), 0, PART),
        lambda: target.finish(clip, token),
    ):
        with pytest.raises(Transient) as raised:
            use()
        assert raised.value.key == "token-lost"


def test_abort_forgets_the_transfer(kit: Kit) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    token = target.send(clip, target.begin(clip), Bytes(data), 0, PART)
    target.abort(clip, token)
    assert kit.transfer(token) is None
    target.abort(clip, token)
    deliver(target, clip, data)
    assert vouched(target, clip)


def test_abort_leaves_alone_what_was_finished(kit: Kit) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    token = deliver(target, clip, data)
    target.abort(clip, token)
    assert vouched(target, clip)


@pytest.mark.parametrize("index", [0, 1, 3])
@pytest.mark.parametrize("how", ["flipped", "short"])
def test_a_part_that_is_not_what_was_stored_is_never_kept(kit: Kit, index: int, how: str) -> None:
    data = content(3 * PART + 7)
    clip, target = clip_of(data), kit.target()
    token = target.begin(clip)
    bad = Bytes(flipped(data, index * PART + 3) if how == "flipped" else data[: index * PART + 3])
    with pytest.raises(NotEqual) as raised:
        send_all(target, clip, token, bad)
    assert raised.value.params["part"] == index
    assert len(kit.transfer(token) or b"") <= index * PART
    assert target.position(clip, token) == index * PART


def test_two_stations_that_send_the_same_clip_do_not_disturb_each_other(kit: Kit) -> None:
    data = content(3 * PART)
    clip, one, other = clip_of(data), kit.target(), kit.target()
    first, second = one.begin(clip), other.begin(clip)
    for offset, length in spans(len(data), PART):
        first = one.send(clip, first, Bytes(data), offset, length)
        if offset == 0:
            second = other.send(clip, second, Bytes(data), offset, length)
    one.finish(clip, first)
    other.finish(clip, send_all(other, clip, second, Bytes(data)))
    assert vouched(one, clip)
    assert vouched(other, clip)
    assert kit.object(clip) == data
    assert kit.transfer(first) is kit.transfer(second) is None


@pytest.mark.parametrize("does", ["position", "finish", "verify"])
def test_long_reading_back_can_be_stopped(kit: Kit, does: str) -> None:
    data = content(3 * PART)
    clip, target = clip_of(data), kit.target()
    token = deliver(target, clip, data)

    def check() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        match does:
            case "position":
                target.position(clip, token, check)
            case "finish":
                target.finish(clip, token, check)
            case "verify":
                target.verify(clip, check)


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", "a/./b", "a\0b",
        "x" * 256, "x" * 251, "名" * 86, "a/" + "x" * 300 + "/b", "\ud800",
    ],
)  # fmt: skip
def test_a_key_that_is_no_plain_path_is_refused(kit: Kit, key: str) -> None:
    with pytest.raises(Rejected) as raised:
        kit.target().begin(clip_of(b"x", key))
    assert raised.value.key == "target-name"


@pytest.mark.parametrize("key", ["x", "a/b/c/d/e", "名前/王伟.mp4", "a b\n\u202e.mp4", "x" * 250, "..."])
def test_an_odd_but_plain_key_is_taken(kit: Kit, key: str) -> None:
    clip, target = clip_of(b"x", key), kit.target()
    deliver(target, clip, b"x")
    assert vouched(target, clip)
