"""What a target promises that keeps documents of stations beside its clips."""

from pathlib import Path

import pytest

from agent.errors import Rejected, Stopping
from agent.upload.targets.documents import LARGEST, Documents
from tests.contract.kits import NAMED, FolderKit, Kit
from tests.uploading import content

PATH = "0123/20260101T000000-abcd/log/000000000001.jsonl"


@pytest.fixture(params=NAMED)
def kit(request: pytest.FixtureRequest) -> Kit:
    """Without names of ours there are no documents."""
    made: Kit = request.getfixturevalue(request.param)
    return made


def documents(kit: Kit) -> Documents:
    """As after a restart of the station."""
    target = kit.target()
    assert isinstance(target, Documents)
    return target


@pytest.mark.parametrize("size", [0, 1, 300_000, LARGEST], ids=str)
def test_a_document_is_read_back_as_it_was_laid(kit: Kit, size: int) -> None:
    data = content(size)
    assert documents(kit).fetch(PATH) is None
    assert documents(kit).lay(PATH, data, replace=False)
    assert documents(kit).fetch(PATH) == data


def test_a_document_is_replaced_only_when_that_is_wanted(kit: Kit) -> None:
    target = documents(kit)
    assert target.lay(PATH, b"first", replace=False)
    assert not target.lay(PATH, b"second", replace=False)
    assert documents(kit).fetch(PATH) == b"first"
    assert target.lay(PATH, b"third", replace=True)
    assert documents(kit).fetch(PATH) == b"third"


def test_documents_of_two_stations_do_not_meet(kit: Kit) -> None:
    target = documents(kit)
    for name in ("one", "two", "one.more"):
        assert target.lay(f"{name}/status.json", name.encode(), replace=False)
    assert [target.fetch(f"{name}/status.json") for name in ("one", "two")] == [b"one", b"two"]
    assert target.fetch("three/status.json") is None


def test_a_document_is_no_clip_and_a_sweep_leaves_it(kit: Kit) -> None:
    target = documents(kit)
    target.lay(PATH, b"x", replace=False)
    target.sweep((), age=-3600)
    assert target.fetch(PATH) == b"x"
    assert not target.holds(kit.clip(b"x", PATH), "")


@pytest.mark.parametrize(
    "path",
    [
        "", "/x", "..", "../x", "a/../../x", "a//b", "a/", "a/./b", "a\0b", "x" * 256, "a/" * 300 + "x",
        "\ud800",
    ],
)  # fmt: skip
def test_a_path_that_is_no_plain_path_is_refused(kit: Kit, path: str) -> None:
    for use in (
        lambda: documents(kit).lay(path, b"x", replace=True),
        lambda: documents(kit).fetch(path),
    ):
        with pytest.raises(Rejected) as raised:
            use()
        assert raised.value.key == "target-name"


def test_what_is_too_large_is_refused_before_anything_is_sent(kit: Kit) -> None:
    with pytest.raises(Rejected) as raised:
        documents(kit).lay(PATH, bytes(LARGEST + 1), replace=True)
    assert raised.value.key == "target-too-large"
    assert documents(kit).fetch(PATH) is None


def test_who_must_end_leaves_nothing_half_written(kit: Kit) -> None:
    def check() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        documents(kit).lay(PATH, content(300_000), replace=False, check=check)
    assert documents(kit).fetch(PATH) is None


def test_in_a_folder_a_name_that_a_crash_left_empty_is_filled(folder_kit: FolderKit) -> None:
    """On a share without better means a name is claimed before the document gets it."""
    folder_kit.target()
    claimed = folder_kit.root / "stations" / PATH
    claimed.parent.mkdir(parents=True)
    claimed.touch()
    assert documents(folder_kit).lay(PATH, b"whole", replace=False)
    assert claimed.read_bytes() == b"whole"
    assert not any((folder_kit.root / "incoming").iterdir())


def test_in_a_folder_no_link_is_followed(folder_kit: FolderKit, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder_kit.target()
    (folder_kit.root / "stations").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Rejected):
        documents(folder_kit).lay(PATH, b"x", replace=True)
    assert not any((tmp_path / "elsewhere").iterdir())
