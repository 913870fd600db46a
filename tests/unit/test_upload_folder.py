"""A share that is not mounted, lacks calls, or loses its station at any line."""

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.upload.targets import document, folder, share
from agent.upload.targets.folder import MARK, FolderTarget
from tests.dying import KILLED, dying_at, in_a_child
from tests.uploading import PART, Bytes, clip_of, content, send_all

DATA = content(2 * PART + 5)
CLIP = clip_of(DATA)
LINES = frozenset({folder.__file__, share.__file__, document.__file__})


def target(root: Path, first_contact: bool = True) -> FolderTarget:
    return FolderTarget("centre", root, first_contact=first_contact)


def whole(root: Path) -> bool:
    receipt = target(root, first_contact=False).verify(CLIP, "")
    return receipt.sha256 == CLIP.manifest.sha256


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "incoming").iterdir())


def key_of(call: Callable[[], object]) -> str:
    with pytest.raises(StationError) as raised:
        call()
    return raised.value.key


def test_the_mark_is_made_once_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    target(tmp_path).begin(CLIP)
    mark = (tmp_path / MARK).read_bytes()
    target(tmp_path).begin(CLIP)
    target(tmp_path, first_contact=False).begin(CLIP)
    assert (tmp_path / MARK).read_bytes() == mark
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK, "lost+found"]


def test_a_share_that_is_not_mounted_is_no_empty_folder(tmp_path: Path) -> None:
    known = target(tmp_path, first_contact=False)
    for use in (
        lambda: known.begin(CLIP),
        lambda: known.send(CLIP, "0" * 16 + "-" + "0" * 16, Bytes(DATA), 0, PART),
        lambda: known.verify(CLIP, ""),
    ):
        assert key_of(use) == "target-not-mounted"
    assert not any(tmp_path.iterdir())


def test_a_share_that_goes_away_later_is_not_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "share"
    root.mkdir()
    known = target(root)
    known.begin(CLIP)
    root.rename(tmp_path / "unplugged")
    assert key_of(lambda: known.begin(CLIP)) == "target-not-mounted"
    root.mkdir()
    assert key_of(lambda: known.begin(CLIP)) == "target-not-mounted"
    assert not any(root.iterdir())


def test_a_folder_with_other_things_in_it_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    assert key_of(lambda: target(tmp_path).begin(CLIP)) == "target-not-empty"


def test_the_mark_tells_one_place_from_another(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    places = {name: target(tmp_path / name).place() for name in ("a", "b")}
    assert places["a"] != places["b"]
    (tmp_path / "a").rename(tmp_path / "mounted elsewhere")
    again = target(tmp_path / "mounted elsewhere", first_contact=False)
    assert again.place() == places["a"]
    used = target(tmp_path / "b")
    used.finish(CLIP, send_all(used, CLIP, used.begin(CLIP), Bytes(DATA)))
    assert used.verify(CLIP, "").place == places["b"]


@pytest.mark.parametrize("mark", [b"", b"{", b"[]", b'{"id": 1}', b'{"id": ""}', b"[" * 4000, b"\xff"])
def test_a_mark_that_tells_no_place_is_a_problem_and_stays_as_it_is(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / MARK).write_bytes(mark)
    assert key_of(target(tmp_path).place) == "target-mark-damaged"
    assert (tmp_path / MARK).read_bytes() == mark


def test_a_folder_on_the_stations_own_file_system_is_no_share(tmp_path: Path) -> None:
    for elsewhere in (tmp_path, tmp_path.parent):
        used = FolderTarget("centre", tmp_path, first_contact=True, never_on=(elsewhere,))
        assert key_of(used.place) == "target-not-mounted"
        assert not any(tmp_path.iterdir())


def test_a_mark_cut_short_by_a_crash_does_not_block_the_folder(tmp_path: Path) -> None:
    (tmp_path / f"{MARK}.0123abcd").write_bytes(b"{")
    target(tmp_path).begin(CLIP)
    assert (tmp_path / MARK).read_bytes()


@pytest.mark.parametrize(
    ("place", "hostile"),
    [
        *itertools.product(["clip", "manifest", "partial"], ["link", "pipe", "folder"]),
        ("parent", "link"),
        ("parent", "pipe"),
    ],
)
def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path, place: str, hostile: str) -> None:
    root, outside = tmp_path / "share", tmp_path / "outside"
    root.mkdir()
    outside.write_bytes(b"not yours")
    used = target(root)
    token = used.begin(CLIP)
    final = root / "clips" / CLIP.key
    path = {
        "clip": final,
        "manifest": final.with_name(final.name + ".json"),
        "partial": root / "incoming" / f"{token}.part",
        "parent": final.parent,
    }[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    if hostile == "link":
        path.symlink_to(tmp_path if place == "parent" else outside)
    elif hostile == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(Rejected):
        used.finish(CLIP, send_all(used, CLIP, token, Bytes(DATA)))
    assert outside.read_bytes() == b"not yours"
    assert sorted(tmp_path.iterdir()) == [outside, root]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, TargetFull),
        (errno.EDQUOT, TargetFull),
        (errno.EIO, Transient),
        (errno.ESTALE, Transient),
        (errno.ENOTCONN, Transient),
        (errno.EHOSTDOWN, Transient),
        (errno.ENODEV, Transient),
        (errno.EACCES, AuthFailed),
        (errno.EPERM, AuthFailed),
        (errno.EROFS, AuthFailed),
        (errno.EFBIG, Rejected),
        (errno.ENAMETOOLONG, Rejected),
    ],
)
def test_an_error_of_the_share_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StationError]
) -> None:
    used = target(tmp_path)
    token = used.begin(CLIP)

    def broken(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", broken)
    with pytest.raises(kind):
        used.send(CLIP, token, Bytes(DATA), 0, PART)


def not_offered(*_: Any) -> None:
    raise OSError(errno.EINVAL, "not offered")


WAYS = {
    "renameat2": [],
    "link": ["_rename_noreplace"],
    "claim": ["_rename_noreplace", "_link_then_unlink"],
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The share offers only this way to give a file its name."""
    for name in WAYS[request.param]:
        monkeypatch.setattr(share, name, not_offered)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_no_way_of_naming_a_file_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "there").write_bytes(b"there")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            share.publish(here, "new", here, "there")
        share.publish(here, "new", here, "free")
    finally:
        os.close(here)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "free": b"new",
        "there": b"there",
    }


class Crash(BaseException):
    """The station dies here. No `except` of the code under test may stop it."""


@pytest.mark.parametrize("damaged", [False, True], ids=["new", "damaged-before"])
@pytest.mark.usefixtures("way")
def test_finish_may_die_at_any_line(tmp_path: Path, damaged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a power cut leaves of unsynced writes is another test's; here only the order of steps counts.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    line = 0
    while True:
        line += 1
        root = tmp_path / str(line)
        root.mkdir()
        used = target(root)
        if damaged:
            used.finish(CLIP, send_all(used, CLIP, used.begin(CLIP), Bytes(DATA)))
            (root / "clips" / CLIP.key).write_bytes(DATA[:-1] + b"?")
        token = send_all(used, CLIP, used.begin(CLIP), Bytes(DATA))
        code = in_a_child(dying_at(line, LINES, lambda: used.finish(CLIP, token)))  # noqa: B023
        assert code in (0, KILLED)
        visible = root / "clips" / CLIP.key
        assert not visible.exists() or visible.with_name(visible.name + ".json").exists()
        after = target(root, first_contact=False)
        after.finish(CLIP, send_all(after, CLIP, token, Bytes(DATA)))
        assert whole(root)
        assert leftovers(root) == []
        assert (root / "damaged").exists() or not damaged
        if code == 0:
            break
    assert line > 50


def test_a_copy_of_ours_that_rotted_is_set_aside_and_sent_again(tmp_path: Path) -> None:
    used = target(tmp_path)
    used.finish(CLIP, send_all(used, CLIP, used.begin(CLIP), Bytes(DATA)))
    rotten = bytes([DATA[0] ^ 1]) + DATA[1:]
    (tmp_path / "clips" / CLIP.key).write_bytes(rotten)
    assert not whole(tmp_path)
    used.finish(CLIP, send_all(used, CLIP, used.begin(CLIP), Bytes(DATA)))
    assert whole(tmp_path)
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [rotten]


def test_a_transfer_that_became_the_object_is_never_written_again(tmp_path: Path) -> None:
    # A share without renameat2: the station died between giving the new name and taking the old one.
    used = target(tmp_path)
    token = used.begin(CLIP)
    used.finish(CLIP, send_all(used, CLIP, token, Bytes(DATA)))
    final = tmp_path / "clips" / CLIP.key
    (tmp_path / "incoming" / f"{token}.part").hardlink_to(final)
    rotten = DATA[:-1] + bytes([DATA[-1] ^ 1])
    final.write_bytes(rotten)
    used.finish(CLIP, send_all(used, CLIP, token, Bytes(DATA)))
    assert whole(tmp_path)
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [rotten]


def test_a_manifest_never_replaces_what_is_none(tmp_path: Path) -> None:
    used = target(tmp_path)
    token = used.begin(CLIP)
    final = tmp_path / "clips" / CLIP.key
    beside = final.with_name(final.name + ".json")
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b'{"a clip": "that is called so"}')
    with pytest.raises(Rejected):
        used.finish(CLIP, send_all(used, CLIP, token, Bytes(DATA)))
    assert beside.read_bytes() == b'{"a clip": "that is called so"}'


def test_the_manifest_is_json_whatever_the_names_are(tmp_path: Path) -> None:
    odd = clip_of(DATA)
    odd = type(odd)(1, odd.key, odd.manifest, {"path": "\udcff\n\u202e王"})
    used = target(tmp_path)
    used.finish(odd, send_all(used, odd, used.begin(odd), Bytes(DATA)))
    assert whole(tmp_path)


def test_a_part_that_is_none_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    used = target(tmp_path)
    for offset, length in [(1, PART), (0, PART - 1), (2 * PART, PART)]:
        with pytest.raises(ValueError, match="no part"):
            used.send(CLIP, used.begin(CLIP), Bytes(DATA), offset, length)


def test_what_a_cut_leaves_of_a_document_is_swept_an_hour_later_and_what_is_being_laid_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = target(tmp_path)

    def cut(*_: object, **__: object) -> None:
        raise Crash

    monkeypatch.setattr("os.rename", cut)
    with pytest.raises(Crash):
        station.lay("11/status.json", b"{}", replace=True)
    [left] = leftovers(tmp_path)
    assert station.sweep((), age=30 * 86400.0) == 0
    assert leftovers(tmp_path) == [left]
    hour_ago = (tmp_path / "incoming" / left).stat().st_mtime - 3601
    os.utime(tmp_path / "incoming" / left, (hour_ago, hour_ago))
    assert station.sweep((), age=30 * 86400.0) == 1
    assert leftovers(tmp_path) == []
