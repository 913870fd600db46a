"""The key stays with the station, and nobody else reads it."""

import os
from pathlib import Path

import pytest

from agent.custody.log import signer
from agent.custody.verifier import Invalid
from agent.errors import Stop


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    assert signer.load(tmp_path, "station/a") is None
    made = signer.make(tmp_path, "station/a", "before-1")
    found = signer.load(tmp_path, "station/a")
    assert found is not None
    assert found.key == made.key
    assert found.sign("text\n").check([made.key]) == [made.key]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_is_nobodys_from_its_first_moment_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        signer.make(tmp_path, "station/a", "before-1")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    signer.make(tmp_path, "station/a", "before-1")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(Stop) as told:
        signer.load(tmp_path, "station/a")
    assert told.value.key == "log-key-open"
    assert told.value.params["mode"] == f"{mode:04o}"


@pytest.mark.parametrize("text", [b"", b"\n", b"AAAA\n", b"*" * 44, b"\xff" * 44, bytes(44)])
def test_what_is_no_key_is_a_lost_one_and_is_kept_aside(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o600)
    assert signer.load(tmp_path, "station/a") is None
    made = signer.make(tmp_path, "station/a", "before-2")
    assert (tmp_path / "key.before-2").read_bytes() == text
    found = signer.load(tmp_path, "station/a")
    assert found is not None
    assert found.key == made.key


def test_a_key_is_not_followed_to_elsewhere(tmp_path: Path) -> None:
    signer.make(tmp_path, "station/a", "before-1")
    (tmp_path / "key").rename(tmp_path / "elsewhere")
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        signer.load(tmp_path, "station/a")


def test_what_a_crash_left_of_a_key_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "key.tmp").write_bytes(b"half")
    signer.make(tmp_path, "station/a", "before-1")
    assert signer.load(tmp_path, "station/a") is not None


def test_the_public_key_is_published_as_others_read_it(tmp_path: Path) -> None:
    made = signer.make(tmp_path, "station/a", "before-1")
    signer.publish(tmp_path / "key.pub", made.key)
    assert (tmp_path / "key.pub").read_text() == made.key.vkey + "\n"
    assert signer.published(tmp_path / "key.pub") == made.key
    for wrong in (b"\xff", b"station/a\n", made.key.vkey.encode() + b"\n\n"):
        (tmp_path / "key.pub").write_bytes(wrong)
        with pytest.raises(Invalid):
            signer.published(tmp_path / "key.pub")
