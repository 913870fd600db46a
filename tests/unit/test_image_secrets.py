"""A secret is never lost, whenever the power goes, and never stays readable on the boot partition."""

import functools
import logging
import os
import stat
from pathlib import Path

import pytest

from agent.image import files, secret_files
from agent.image.report import Report
from agent.image.secret_files import _is_half_wiped
from tests.image_house import House

PASSWORD = b"username=station\npassword=geheim\n" * 40  # three sectors


class PowerCut(BaseException):
    pass


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "root")
    made.lay("station.yaml", "")
    made.lay("secrets/nas", PASSWORD)
    made.lay("secrets/s3/key", b"k" * 20)
    return made


def kept(house: House) -> dict[str, bytes]:
    """As who uses them sees them: a half-written one is hidden."""
    at = house.paths.secrets
    files = [file for file in at.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return {str(file.relative_to(at)): file.read_bytes() for file in files}


def test_secrets_move_to_the_data_disk_and_are_gone_from_the_boot_partition(house: House) -> None:
    house.lay("secrets/README.txt", "Put secrets here.")
    assert house.boot() == []
    assert kept(house) == {"nas": PASSWORD, "s3/key": b"k" * 20}
    assert secret_files.waiting(house.paths) == []
    assert (house.paths.boot / "secrets/README.txt").exists()
    assert house.system.boot_writable == [True, False]
    for path, mode in (("", 0o750), ("nas", 0o640), ("s3", 0o750)):
        assert stat.S_IMODE((house.paths.secrets / path).stat().st_mode) == mode


def test_the_bytes_are_overwritten_before_the_name_goes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlinked: list[bytes] = []

    def look(self: Path, missing_ok: bool = False) -> None:
        if house.paths.boot in self.parents:
            unlinked.append(self.read_bytes())

    monkeypatch.setattr(Path, "unlink", look)
    house.boot()
    assert unlinked == [bytes(len(PASSWORD)), bytes(20)]


def test_a_new_secret_replaces_the_old_one(house: House) -> None:
    house.boot()
    house.lay("secrets/nas", b"new")
    assert house.boot() == []
    assert kept(house)["nas"] == b"new"


def test_no_secret_is_ever_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.lay("secrets/huge", b"geheim" * (files.LARGEST // 6 + 1))
    with caplog.at_level(logging.DEBUG):
        assert house.boot() == ["boot-file-too-large"]
    assert "geheim" not in caplog.text + house.paths.problems.read_text()
    assert house.problems()[0]["params"]["file"] == "secrets/huge"


def move_until(step: int, house: House, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Move the secrets and cut the power at the given one of the steps; False when there are fewer."""
    steps = iter(range(1, 1000))
    real = {name: getattr(os, name) for name in ("fsync", "write")}

    def call(name: str, fd: int, *more: bytes) -> object:
        if next(steps) == step:
            if more:  # half of it reached the disk
                real[name](fd, more[0][: len(more[0]) // 2 // 512 * 512])
            raise PowerCut
        return real[name](fd, *more)

    with monkeypatch.context() as patched:
        for name in real:
            patched.setattr(os, name, functools.partial(call, name))
        try:
            secret_files.move(house.paths, house.system, Report())
        except PowerCut:
            return True
    return False


def test_a_power_cut_at_any_step_loses_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 100):
        house = House(tmp_path / f"cut-{step}")
        house.lay("station.yaml", "")
        house.lay("secrets/nas", PASSWORD)
        house.lay("secrets/s3/key", b"k" * 20)
        cut = move_until(step, house, monkeypatch)
        secret_files.move(house.paths, house.system, report := Report())
        assert report.keys() == []
        assert kept(house) == {"nas": PASSWORD, "s3/key": b"k" * 20}
        assert secret_files.waiting(house.paths) == []
        if not cut:
            break
    assert step > 15


def test_a_half_wiped_file_never_comes_over_the_good_copy(house: House) -> None:
    house.boot()
    house.lay("secrets/nas", bytes(512) + PASSWORD[512:])
    assert house.boot() == []
    assert kept(house)["nas"] == PASSWORD
    assert secret_files.waiting(house.paths) == []


def test_a_boot_partition_that_stays_read_only_keeps_its_secrets_and_says_so(house: House) -> None:
    house.system.refuses_to_remount = True
    assert house.boot() == ["secret-not-wiped"]
    assert kept(house) == {"nas": PASSWORD, "s3/key": b"k" * 20}
    house.system.refuses_to_remount = False
    assert house.boot() == []
    assert secret_files.waiting(house.paths) == []


def test_a_copy_that_does_not_read_back_is_not_trusted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.image.secret_files._from_disk", lambda _: b"rotten")
    assert house.boot() == ["secret-not-equal", "secret-not-equal"]
    assert (house.paths.boot / "secrets/nas").read_bytes() == PASSWORD


def test_an_empty_file_takes_no_secret_away(house: House) -> None:
    house.boot()
    house.lay("secrets/nas", b"")
    assert house.boot() == ["secret-empty"]
    assert kept(house)["nas"] == PASSWORD


def test_half_wiped_is_told_from_new() -> None:
    old = b"a" * 1024
    assert _is_half_wiped(old, old)
    assert _is_half_wiped(bytes(512) + old[512:], old)
    assert _is_half_wiped(bytes(1024), old)
    assert not _is_half_wiped(b"a" * 1023, old)
    assert not _is_half_wiped(b"b" + old[1:], old)
    assert not _is_half_wiped(bytes(511) + b"b" + old[512:], old)
