"""An erasure that fails at any step: the disk is read-only again, and nothing is said to be erased that may
still be there.
"""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.privileged import erase as erasing
from agent.privileged import mounting
from agent.privileged.verbs import Doomed, InProcess
from tests.dockside import in_a_child
from tests.here import require
from tests.loops import NEEDS, TAG, Make, Recorder, folder, recorder, run, turn, udev

require(*NEEDS)
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module


class Docked:
    """A recorder with three files, mounted."""

    def __init__(self, one: Recorder, mounts: Path) -> None:
        self.one = one.examined()
        self.mounts = mounts
        self.verbs = InProcess(mounts, TAG)
        self.path = self.verbs.mount(one.volume()).path
        self.before = one.digest()
        self.files = [self.doomed(name) for name in ("a.mp4", "b.mp4", "c.mp4")]

    def doomed(self, name: str) -> Doomed:
        status = (self.path / name).stat()
        return Doomed(name, status.st_size, status.st_mtime_ns)

    def erase(self) -> dict[str, str]:
        return {fate.path: fate.outcome for fate in self.verbs.erase(self.path, self.files)}

    def names(self) -> set[str]:
        return {path.name for path in self.path.glob("*.mp4")}

    def assert_read_only(self) -> None:
        """The disk is; and it is mounted once, as before."""
        assert run("blockdev", "--getro", self.one.node) == "1"
        assert mounting.mounted_below(self.mounts) == [self.path]
        assert os.statvfs(self.path).f_flag & os.ST_RDONLY
        assert list((self.mounts / ".erase").iterdir()) == []


@pytest.fixture
def docked(tmp_path: Path, recorder: Make) -> Iterator[Docked]:
    mounts = tmp_path / "mounts"
    try:
        yield Docked(recorder("a.mp4", "b.mp4", "c.mp4"), mounts)
    finally:
        for point in mounting.mounted_below(mounts):
            subprocess.run(["umount", point], check=True)


def broken(after: int, code: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, until it was called so often."""
    calls = iter(range(1 << 30))

    def call(*arguments: Any, **named: Any) -> Any:
        if next(calls) >= after:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    return call


def test_a_disk_that_cannot_be_mounted_writable_keeps_everything(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounting, "mount_writable", broken(0, errno.EROFS, print))
    with pytest.raises(OSError) as refused:
        docked.erase()
    assert refused.value.errno == errno.EROFS
    docked.assert_read_only()
    assert docked.one.digest() == docked.before


@pytest.mark.parametrize("after", range(3))
def test_a_removal_that_fails_is_told_and_the_others_are_done(
    docked: Docked, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    names = ["a.mp4", "b.mp4", "c.mp4"]
    monkeypatch.setattr(os, "unlink", broken(after, errno.EIO, os.unlink))
    fates = docked.erase()
    assert fates == {name: "erased" if i < after else "EIO" for i, name in enumerate(names)}
    docked.assert_read_only()
    assert docked.names() == set(names[after:])


class Lost:
    """A disk that is not there any more."""

    def syncfs(self, _: object) -> int:
        return -1


def test_of_a_disk_that_was_pulled_nothing_is_called_gone(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT finds no name any more, once its disk does not answer."""
    monkeypatch.setattr(erasing, "_libc", Lost())
    monkeypatch.setattr(erasing, "_unlink", broken(1, errno.ENOENT, erasing._unlink))
    assert set(docked.erase().values()) == {"uncertain"}
    assert docked.names() == {"b.mp4", "c.mp4"}


def test_what_a_disk_may_not_have_kept_is_not_called_erased(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_libc", Lost())
    assert set(docked.erase().values()) == {"uncertain"}
    docked.assert_read_only()


def test_a_file_that_comes_back_is_not_called_erased(docked: Docked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder whose memory takes no writes any more says yes to all of them."""
    monkeypatch.setattr(os, "unlink", lambda name, dir_fd: None)
    assert set(docked.erase().values()) == {"uncertain"}
    docked.assert_read_only()
    assert docked.names() == {"a.mp4", "b.mp4", "c.mp4"}


def test_a_file_that_changed_between_the_two_looks_is_left_alone(
    docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mounting.mount_writable

    def meddled(device: mounting.Device, point: Path) -> None:
        real(device, point)
        with (point / "b.mp4").open("ab") as file:
            file.write(b"!")
        (point / "c.mp4").unlink()
        (point / "c.mp4").symlink_to("a.mp4")

    monkeypatch.setattr(mounting, "mount_writable", meddled)
    assert docked.erase() == {"a.mp4": "erased", "b.mp4": "differs", "c.mp4": "elsewhere"}
    docked.assert_read_only()
    assert docked.names() == {"b.mp4", "c.mp4"}


def test_the_writable_mount_is_roots_alone(docked: Docked, monkeypatch: pytest.MonkeyPatch) -> None:
    real = mounting.mount_writable
    seen: list[int] = []

    def looked_at(device: mounting.Device, point: Path) -> None:
        real(device, point)
        seen.append(point.parent.stat().st_mode & 0o777)

    monkeypatch.setattr(mounting, "mount_writable", looked_at)
    docked.erase()
    assert seen == [0o700]


@pytest.mark.parametrize("at", ["unlink", "fsync"])
def test_a_helper_that_is_killed_in_the_middle_makes_the_disk_read_only_when_it_starts_again(
    docked: Docked, at: str
) -> None:
    def die(*_: object, **__: object) -> None:
        os._exit(9)

    def erase() -> None:
        setattr(os, at, die)
        docked.erase()

    assert in_a_child(erase) == 9
    assert run("blockdev", "--getro", docked.one.node) == "0"
    InProcess(docked.mounts, TAG).recover()
    assert run("blockdev", "--getro", docked.one.node) == "1"
    assert mounting.mounted_below(docked.mounts) == []
    docked.verbs.unmount(docked.path)
    again = docked.verbs.mount(docked.one.volume())
    assert {path.name for path in again.path.glob("*.mp4")} >= {"b.mp4", "c.mp4"}
    docked.verbs.unmount(again.path)
