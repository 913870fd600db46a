"""What `agent/upload/targets/short.py` promises, for every target that has it."""

import hashlib

import pytest

from agent.errors import NotEqual
from agent.model import Receipt, StoredClip
from agent.upload.targets.short import Short
from tests.contract.s3_kit import S3Kit
from tests.uploading import KEY, Bytes, content

SIZE = 50_000


@pytest.fixture
def kit(s3_kit: S3Kit) -> S3Kit:
    return s3_kit


@pytest.fixture
def target(kit: S3Kit) -> Short:
    made = kit.target()
    assert isinstance(made, Short)
    return made


def other(kit: S3Kit, number: int) -> tuple[StoredClip, bytes]:
    data = content(SIZE, number)
    return kit.clip(data, KEY.replace("clip.", f"clip{number}.")), data


def told(target: Short, clip: StoredClip) -> Receipt | None:
    [receipt] = target.told([clip])
    return receipt


def test_what_was_laid_is_told_and_verified(kit: S3Kit, target: Short) -> None:
    clip, data = other(kit, 1)
    token = target.begin(clip)
    assert target.lay_new(clip, Bytes(data))
    receipt = told(target, clip)
    assert receipt is not None
    assert (receipt.size, receipt.sha256, receipt.place) == (SIZE, clip.manifest.sha256, "")
    verified = target.verify(clip, token, read_back=True)
    assert (verified.location, verified.sha256) == (receipt.location, receipt.sha256)
    assert target.holds(clip, token)
    assert target.position(clip, token) == SIZE
    assert kit.object(clip) == data
    assert kit.manifest(clip)["sha256"] == clip.manifest.sha256


def test_it_is_told_of_each_in_their_order(kit: S3Kit, target: Short) -> None:
    clips = [other(kit, number) for number in range(5)]
    for clip, data in clips[::2]:
        assert target.lay_new(clip, Bytes(data))
    receipts = [receipt and receipt.sha256 for receipt in target.told([clip for clip, _ in clips])]
    assert receipts == [
        clip.manifest.sha256 if number % 2 == 0 else None for number, (clip, _) in enumerate(clips)
    ]


@pytest.mark.parametrize("there", [content(SIZE, 1), content(SIZE, 2)], ids=["the same", "another"])
def test_what_lies_there_is_not_replaced(kit: S3Kit, target: Short, there: bytes) -> None:
    clip, data = other(kit, 1)
    kit.place(clip, there)
    assert not target.lay_new(clip, Bytes(data))
    assert kit.object(clip) == there


def test_of_a_clip_whose_manifest_is_there_not_a_byte_is_sent(kit: S3Kit, target: Short) -> None:
    clip, data = other(kit, 1)
    assert target.lay_new(clip, Bytes(data))
    reader = Bytes(data)
    assert not target.lay_new(clip, reader)
    assert reader.read == 0


@pytest.mark.parametrize("manifest", [True, False])
def test_without_clip_or_manifest_nothing_is_told(kit: S3Kit, target: Short, manifest: bool) -> None:
    clip, data = other(kit, 1)
    assert target.lay_new(clip, Bytes(data))
    kit.remove(clip, manifest=manifest)
    assert told(target, clip) is None


def test_of_other_bytes_or_another_manifest_nothing_is_told(kit: S3Kit, target: Short) -> None:
    (first, data), (second, more) = other(kit, 1), other(kit, 2)
    assert target.lay_new(first, Bytes(data)) and target.lay_new(second, Bytes(more))
    kit.place(first, content(SIZE, 3))
    manifest = b"{}"
    kit._admin.put(f"clips/{second.key}.json", manifest, hashlib.sha256(manifest).digest(), replace=True)
    assert list(target.told([first, second])) == [None, None]


@pytest.mark.parametrize("damage", ["flipped", "short"])
def test_a_local_clip_that_is_damaged_is_not_laid(kit: S3Kit, target: Short, damage: str) -> None:
    clip, data = other(kit, 1)
    altered = data[:-1] if damage == "short" else b"x" + data[1:]
    with pytest.raises(NotEqual) as raised:
        target.lay_new(clip, Bytes(altered))
    assert raised.value.params["part"] == 0
    assert kit.object(clip) is None
    assert told(target, clip) is None
