"""What a target promises that tells which clips of a recorder lie there."""

import pytest

from agent.errors import Rejected, Stopping
from agent.model import StoredClip
from agent.upload.targets import collected as collected_module
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.collected import Collected
from agent.upload.targets.documents import Documents
from tests.contract.kits import BARE, NAMED, FolderKit, Kit
from tests.uploading import Bytes, content, send_all


@pytest.fixture(params=NAMED)
def kit(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.getfixturevalue(request.param)
    return made


def able(kit: Kit) -> Collected:
    """As after a restart of the station."""
    target = kit.target()
    assert isinstance(target, Collected)
    return target


def found(kit: Kit, recorder: str, since: str = "", check: Check = go_on) -> list[str]:
    return sorted(able(kit).collected(recorder, since, check))


def store(kit: Kit, key: str) -> StoredClip:
    target, data = kit.target(), content(500, len(key))
    clip = kit.clip(data, key)
    target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(data)))
    return clip


def key(recorder: str, day: str, number: int) -> str:
    return f"{recorder}/{day}/{recorder}_{number:04}.0123456789abcdef.mp4"


def test_every_clip_of_the_recorder_is_told_and_nothing_else(kit: Kit) -> None:
    mine = [key("8888888", day, n) for day in ("2026-08-04", "2026-08-05", "undated") for n in range(2)]
    others = [key("888888", "2026-08-04", 1), key("88888889", "2026-08-04", 1)]
    for one in [*mine, *others]:
        store(kit, one)
    half = kit.clip(content(2 * kit.part), key("8888888", "2026-08-04", 9))
    target = kit.target()
    target.send(half, target.begin(half), Bytes(content(2 * kit.part)), 0, kit.part)
    assert isinstance(target, Documents)
    target.lay("8888888/2026-08-04/status.mp4", b"x", replace=True)
    assert found(kit, "8888888") == sorted(mine)
    assert found(kit, "888888") == others[:1]


def test_a_recorder_that_nobody_collected_has_none(kit: Kit) -> None:
    assert found(kit, "8888888") == []
    store(kit, key("8888888", "2026-08-04", 1))
    assert found(kit, "9999999") == []


def test_days_before_the_one_that_is_asked_for_are_passed_over(kit: Kit) -> None:
    days = ["2025-12-31", "2026-08-04", "2026-08-05", "undated"]
    for day in days:
        store(kit, key("8888888", day, 1))
    assert found(kit, "8888888", "2026-08-04") == [key("8888888", day, 1) for day in days[1:]]
    assert found(kit, "8888888", "2026-08-06") == [key("8888888", "undated", 1)]


def test_one_that_was_taken_away_is_not_told(kit: Kit) -> None:
    kept, gone = (store(kit, key("8888888", "2026-08-04", n)) for n in range(2))
    kit.remove(gone, manifest=False)
    assert found(kit, "8888888") == [kept.key]


def test_who_must_end_is_asked_while_it_is_read(kit: Kit) -> None:
    store(kit, key("8888888", "2026-08-04", 1))

    def check() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        found(kit, "8888888", check=check)


@pytest.mark.parametrize("recorder", ["", ".", "..", "a/b", "a\0b", "x" * 256])
def test_a_recorder_that_is_no_plain_name_is_refused(kit: Kit, recorder: str) -> None:
    with pytest.raises(Rejected) as raised:
        found(kit, recorder)
    assert raised.value.key == "target-name"


@pytest.mark.parametrize("fixture", BARE)
def test_a_server_that_names_everything_itself_cannot(request: pytest.FixtureRequest, fixture: str) -> None:
    assert not isinstance(request.getfixturevalue(fixture).target(), Collected)


def test_more_clips_than_a_page_holds_are_told_one_after_the_other(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is asked for when it is needed: what is held in memory does not grow with what lies there."""
    kit.target()
    keys = [key("8888888", f"2026-08-{day:02}", n) for day in range(1, 6) for n in range(5)]
    for one in keys:
        kit.place(kit.clip(b"x", one), b"x")
    monkeypatch.setattr("agent.upload.targets.tus.filer._PAGE", 4)
    monkeypatch.setattr("agent.upload.targets.s3.bucket._LISTED", 4)
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1

    told = able(kit).collected("8888888", "", check)
    first = next(told)
    assert sorted([first, *told]) == keys
    assert asked


def test_in_a_folder_no_link_is_followed(folder_kit: FolderKit) -> None:
    store(folder_kit, key("8888888", "2026-08-04", 1))
    clips = folder_kit.root / "clips"
    (clips / "8888888" / "2026-08-05").symlink_to(clips / "8888888" / "2026-08-04")
    (clips / "8888888" / "notes.txt").write_text("x")
    assert found(folder_kit, "8888888") == [key("8888888", "2026-08-04", 1)]


def test_what_is_a_clip_is_told_by_its_name() -> None:
    assert collected_module.is_clip("8888888/2026-08-04/x.0123456789abcdef.mp4")
    for other in ("8888888/2026-08-04/x.mp4.json", "8888888/x.mp4", "8888888/2026-08-04/", "8888888/a/b/c"):
        assert not collected_module.is_clip(other)
