"""What needs root, promised alike by the verbs in the agent's own process and by the helper.

Real block devices, and udevd's own database: loop devices with ext4 stand for recorders.
"""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from agent.privileged import mounting
from agent.privileged.client import Helper
from agent.privileged.find import Volume
from agent.privileged.verbs import Doomed, Fate, InProcess, Lent
from tests.here import require
from tests.loops import (
    MIB,
    NEEDS,
    TAG,
    Make,
    Recorder,
    folder,
    mounted,
    partition,
    recorder,
    run,
    turn,
    udev,
    when,
)

require(*NEEDS)
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module

ROOT = Path(__file__).parents[2]


class Verbs(Protocol):
    def mount(self, volume: Volume) -> Lent: ...
    def unmount(self, mount: Path) -> None: ...
    def mounted(self) -> list[Path]: ...
    def erase(self, mount: Path, files: Sequence[Doomed]) -> list[Fate]: ...
    def disconnect(self, port: str) -> Path | None: ...
    def authorise(self, port: str) -> None: ...


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "mounts"
    folder.mkdir()
    yield folder
    for point in mounting.mounted_below(folder):
        run("umount", point)


@pytest.fixture(params=["in-process", "helper"])
def verbs(request: pytest.FixtureRequest, tmp_path: Path, mounts: Path) -> Iterator[Verbs]:
    if request.param == "in-process":
        yield InProcess(mounts, TAG)
        return
    socket = tmp_path / "helper.sock"
    command = [sys.executable, "-P", "-c", "from agent.privileged.server import main; main()"]
    options = ["--socket", socket, "--mounts", mounts, "--tag", TAG, "--user", "54321:54321"]
    helper = subprocess.Popen([*command, *map(str, options)], env={"PYTHONPATH": str(ROOT)})
    try:
        when(socket.exists)
        yield Helper(socket)
    finally:
        helper.terminate()
        assert helper.wait(30) == 0


def failing(verb: Callable[..., object], *arguments: object) -> int | None:
    with pytest.raises(OSError) as failed:
        verb(*arguments)
    return failed.value.errno


def read_only(*nodes: str) -> bool:
    return all(run("blockdev", "--getro", node) == "1" for node in nodes)


def listed(mount: Path, *names: str) -> list[Doomed]:
    """As ingest saw them."""
    return [Doomed(name, (at := (mount / name).lstat()).st_size, at.st_mtime_ns) for name in names]


def outcomes(fates: Sequence[Fate]) -> dict[str, str]:
    return {fate.path: fate.outcome for fate in fates}


def test_a_volume_is_mounted_read_only_where_the_helper_chose(
    verbs: Verbs, mounts: Path, recorder: Make
) -> None:
    one = recorder("a.mp4").examined()
    before = one.digest()
    lent = verbs.mount(one.volume())
    assert lent.path.parent == mounts
    assert (lent.path / "a.mp4").read_bytes() == b"a.mp4" * 1000
    (options,) = [
        line.split()[3] for line in Path("/proc/mounts").read_text().splitlines() if str(lent.path) in line
    ]
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow", "norecovery"} <= set(options.split(","))
    assert read_only(one.node)
    assert verbs.mounted() == [lent.path]
    verbs.unmount(lent.path)
    assert verbs.mounted() == [] and list(mounts.iterdir()) == []
    assert read_only(one.node) and one.digest() == before


def test_a_partition_is_mounted_after_its_whole_disk_was_set_read_only(verbs: Verbs, recorder: Make) -> None:
    one = recorder(size=20 * MIB)
    partition(one.image, recorder("a.mp4"), recorder("b.mp4"))
    one.plug()
    for number in (1, 2):
        if not Path(f"{one.node}p{number}").exists():  # a kernel that does not read this kind of table
            run("addpart", one.node, number, (8 * number - 7) * MIB // 512, 8 * MIB // 512)
    run("udevadm", "settle")
    assert failing(verbs.mount, one.volume(0)) == errno.EINVAL
    assert failing(verbs.mount, one.volume(3)) == errno.ENODEV
    for number, name in ((1, "a.mp4"), (2, "b.mp4")):
        lent = verbs.mount(one.volume(number))
        assert (lent.path / name).exists()
        assert read_only(one.node, f"{one.node}p{number}")
        verbs.unmount(lent.path)


def test_only_the_disk_that_was_meant_is_mounted(verbs: Verbs, mounts: Path, recorder: Make) -> None:
    one = recorder("a.mp4").examined()
    meant = one.volume()
    for other in (
        meant._replace(diskseq=meant.diskseq + 1),
        meant._replace(lun=1),
        meant._replace(port=meant.port + ".1"),
        meant._replace(port=Path(one.node).name),
    ):
        assert failing(verbs.mount, other) == errno.ENODEV
    assert list(mounts.iterdir()) == [] and not read_only(one.node)


def test_a_disk_that_took_the_place_of_another_is_refused(verbs: Verbs, recorder: Make) -> None:
    one, other = recorder("a.mp4").examined(), recorder("b.mp4")
    meant, node = one.volume(), one.node
    one.pull()
    run("losetup", node, other.image)
    other.node = node
    run("udevadm", "settle")
    assert failing(verbs.mount, meant) == errno.ENODEV
    verbs.unmount(verbs.mount(other.volume()).path)


def test_a_disk_without_our_tag_is_refused(verbs: Verbs, recorder: Make, tmp_path: Path) -> None:
    ours = recorder("a.mp4")
    strange = Recorder(tmp_path / "strange.img")
    strange.image.write_bytes(ours.image.read_bytes())
    try:
        strange.examined()
        assert failing(verbs.mount, strange.volume()) == errno.ENODEV
        assert failing(verbs.mount, strange.volume()._replace(port=Path(strange.node).name)) == errno.ENODEV
    finally:
        strange.pull()


def test_a_disk_that_the_machine_uses_itself_is_left_alone(
    verbs: Verbs, recorder: Make, tmp_path: Path
) -> None:
    one = recorder("a.mp4").examined()
    with mounted(one.node, tmp_path / "own"):
        assert failing(verbs.mount, one.volume()) == errno.EBUSY
        assert not read_only(one.node)
        (tmp_path / "own/still writable").write_text("yes")


def test_what_holds_no_file_system_is_not_mounted(verbs: Verbs, mounts: Path, recorder: Make) -> None:
    one = recorder().examined()
    assert failing(verbs.mount, one.volume()) == errno.EINVAL
    assert list(mounts.iterdir()) == []


def test_a_superblock_that_the_kernel_refuses_leaves_nothing_behind(
    verbs: Verbs, mounts: Path, recorder: Make
) -> None:
    one = recorder("a.mp4")
    with one.image.open("r+b") as image:
        image.seek(1024 + 0x18)  # s_log_block_size
        image.write(b"\xff\xff")
    one.examined()
    assert failing(verbs.mount, one.volume()) == errno.EINVAL
    assert list(mounts.iterdir()) == []


def test_a_mount_in_use_is_never_ended_lazily(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4").examined()
    lent = verbs.mount(one.volume())
    with (lent.path / "a.mp4").open():
        assert failing(verbs.unmount, lent.path) == errno.EBUSY
        assert verbs.mounted() == [lent.path]
    verbs.unmount(lent.path)


def test_nothing_but_its_own_mounts_is_unmounted(verbs: Verbs, mounts: Path, tmp_path: Path) -> None:
    (mounts / "sub/deep").mkdir(parents=True)
    for strange in (mounts / "..", mounts / ".hidden", mounts / "a b"):
        assert failing(verbs.unmount, strange) == errno.EINVAL
    assert (mounts / "sub/deep").is_dir()


def test_what_a_killed_agent_left_is_listed(verbs: Verbs, mounts: Path, recorder: Make) -> None:
    lent = verbs.mount(recorder("a.mp4").examined().volume())
    (mounts / "never-mounted").mkdir()
    assert verbs.mounted() == [lent.path, mounts / "never-mounted"]
    for point in verbs.mounted():
        verbs.unmount(point)
    assert verbs.mounted() == []


def test_an_empty_lost_and_found_is_known_to_be_empty(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4").examined()
    lent = verbs.mount(one.volume())
    assert lent.empty == {"lost+found"}
    verbs.unmount(lent.path)


def test_a_lost_and_found_that_holds_something_is_not(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4")
    run("debugfs", "-w", "-R", "mkdir lost+found/#12", one.image)
    lent = verbs.mount(one.examined().volume())
    assert lent.empty == frozenset()
    verbs.unmount(lent.path)


def test_what_is_on_no_bus_is_neither_disconnected_nor_authorised(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4").examined()
    assert failing(verbs.disconnect, one.slot) == errno.ENODEV
    assert failing(verbs.authorise, one.slot) == errno.ENODEV


def test_exactly_the_listed_files_are_erased(verbs: Verbs, recorder: Make) -> None:
    names = ["a.mp4", "b.mp4", "执法.mp4", os.fsdecode(b"\xff\xfe.mp4"), "line\nfeed.mp4"]
    one = recorder(*names, "kept.mp4").examined()
    lent = verbs.mount(one.volume())
    assert outcomes(verbs.erase(lent.path, listed(lent.path, *names))) == dict.fromkeys(names, "erased")
    assert {path.name for path in lent.path.iterdir()} == {"kept.mp4", "lost+found"}
    assert (lent.path / "kept.mp4").read_bytes() == b"kept.mp4" * 1000
    (mount,) = mounting.mounted_below(lent.path.parent)
    assert mount == lent.path and os.statvfs(mount).f_flag & os.ST_RDONLY
    assert read_only(one.node)
    verbs.unmount(lent.path)
    run("e2fsck", "-f", "-n", one.node)


def test_one_file_that_differs_and_nothing_is_erased(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4", "b.mp4", "c.mp4").examined()
    lent = verbs.mount(one.volume())
    a, b, c = listed(lent.path, "a.mp4", "b.mp4", "c.mp4")
    before = one.digest()
    for other, outcome in (
        (b._replace(size=b.size + 1), "differs"),
        (b._replace(mtime_ns=b.mtime_ns - 1), "differs"),
        (b._replace(path="none.mp4"), "gone"),
        (b._replace(path="a.mp4/b"), "gone"),
        (b._replace(path="lost+found"), "not-a-file"),
    ):
        fates = outcomes(verbs.erase(lent.path, [a, other, c]))
        assert fates == {"a.mp4": "refused", other.path: outcome, "c.mp4": "refused"}
    assert one.digest() == before
    verbs.unmount(lent.path)


def test_names_that_differ_in_case_only_are_refused_both(verbs: Verbs, recorder: Make) -> None:
    """On FAT the kernel takes either name for whichever file it meets first."""
    one = recorder("a.mp4", "A.MP4", "b.mp4").examined()
    lent = verbs.mount(one.volume())
    before = one.digest()
    files = listed(lent.path, "a.mp4", "A.MP4", "b.mp4")
    assert outcomes(verbs.erase(lent.path, files)) == {"a.mp4": "alike", "A.MP4": "alike", "b.mp4": "refused"}
    assert outcomes(verbs.erase(lent.path, files[:1])) == {"a.mp4": "alike"}
    assert one.digest() == before
    verbs.unmount(lent.path)


def test_a_file_system_that_is_not_whole_keeps_everything(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4", "b.mp4")
    for done in ("set_inode_field b.mp4 block[0] 0", "set_inode_field b.mp4 blocks 4"):
        run("debugfs", "-w", "-R", done, one.image)
    lent = verbs.mount(one.examined().volume())
    before = one.digest()
    assert failing(verbs.erase, lent.path, listed(lent.path, "a.mp4")) == errno.EUCLEAN
    assert one.digest() == before and read_only(one.node)
    assert verbs.mounted() == [lent.path] and (lent.path / "a.mp4").exists()
    verbs.unmount(lent.path)


@pytest.mark.parametrize(
    "path", ["../b", "/etc/passwd", "x/../a.mp4", "./a.mp4", "", "x//a", "a\0b", "a.mp4/"]
)
def test_no_path_leads_out_of_the_recorder(verbs: Verbs, recorder: Make, path: str) -> None:
    one = recorder("a.mp4").examined()
    lent = verbs.mount(one.volume())
    before = one.digest()
    assert failing(verbs.erase, lent.path, [*listed(lent.path, "a.mp4"), Doomed(path, 1, 0)]) == errno.EINVAL
    assert one.digest() == before
    verbs.unmount(lent.path)


def test_links_on_the_recorder_are_neither_followed_nor_erased(
    verbs: Verbs, recorder: Make, folder: Path, tmp_path: Path
) -> None:
    one = recorder("a.mp4")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.mp4").write_bytes(b"a.mp4" * 1000)
    writing = Recorder(tmp_path / "writing")
    writing.image.write_bytes(one.image.read_bytes())
    writing.plug()  # without our tag
    try:
        with mounted(writing.node, tmp_path / "m"):
            (tmp_path / "m/file-link").symlink_to(tmp_path / "secret/a.mp4")
            (tmp_path / "m/folder-link").symlink_to(tmp_path / "secret")
            (tmp_path / "m/real.mp4").write_bytes(b"twice")
            os.link(tmp_path / "m/real.mp4", tmp_path / "m/other.mp4")
            os.mkfifo(tmp_path / "m/pipe")
    finally:
        writing.pull()
    one.image.write_bytes(writing.image.read_bytes())
    one.examined()
    lent = verbs.mount(one.volume())
    before = one.digest()
    for doomed, outcome in (
        (listed(lent.path, "file-link")[0], "elsewhere"),
        (listed(tmp_path / "secret", "a.mp4")[0]._replace(path="folder-link/a.mp4"), "elsewhere"),
        (listed(lent.path, "real.mp4")[0], "linked"),
        (listed(lent.path, "pipe")[0], "not-a-file"),
    ):
        assert outcomes(verbs.erase(lent.path, [doomed])) == {doomed.path: outcome}
    assert one.digest() == before and (tmp_path / "secret/a.mp4").exists()
    verbs.unmount(lent.path)


def test_a_file_that_is_bind_mounted_from_elsewhere_is_left_alone(
    verbs: Verbs, recorder: Make, tmp_path: Path
) -> None:
    one = recorder("a.mp4").examined()
    lent = verbs.mount(one.volume())
    [doomed] = listed(lent.path, "a.mp4")
    own = tmp_path / "own.mp4"
    own.write_bytes(b"a.mp4" * 1000)
    os.utime(own, ns=(doomed.mtime_ns, doomed.mtime_ns))
    run("mount", "--bind", own, lent.path / "a.mp4")
    try:
        assert outcomes(verbs.erase(lent.path, [doomed])) == {"a.mp4": "elsewhere"}
    finally:
        run("umount", lent.path / "a.mp4")
    assert own.exists() and (lent.path / "a.mp4").exists()
    verbs.unmount(lent.path)


def test_a_mount_in_use_is_not_erased_from(verbs: Verbs, recorder: Make) -> None:
    one = recorder("a.mp4").examined()
    lent = verbs.mount(one.volume())
    before = one.digest()
    doomed = listed(lent.path, "a.mp4")
    with (lent.path / "a.mp4").open():
        assert failing(verbs.erase, lent.path, doomed) == errno.EBUSY
    assert one.digest() == before and read_only(one.node)
    assert outcomes(verbs.erase(lent.path, doomed)) == {"a.mp4": "erased"}
    verbs.unmount(lent.path)


def test_nothing_is_erased_below_what_is_no_mount_of_ours(
    verbs: Verbs, recorder: Make, mounts: Path, tmp_path: Path
) -> None:
    one = recorder("a.mp4", "b.mp4").examined()
    (mounts / "folder").mkdir()
    (mounts / "folder/a.mp4").write_bytes(b"a")
    lent = verbs.mount(one.volume())
    (mounts / "bound").mkdir()
    run("mount", "--bind", lent.path / "lost+found", mounts / "bound")
    for strange in (mounts / "folder", mounts / "bound", mounts / "none", mounts / ".."):
        assert failing(verbs.erase, strange, [Doomed("a.mp4", 1, 0)]) == errno.EINVAL
    run("mount", "--bind", mounts / "folder", lent.path)  # one thing over another
    assert failing(verbs.erase, lent.path, listed(mounts / "folder", "a.mp4")) == errno.EINVAL
    run("umount", lent.path)
    run("umount", mounts / "bound")
    assert (mounts / "folder/a.mp4").exists() and (lent.path / "a.mp4").exists()
    verbs.unmount(lent.path)


def test_a_write_protected_recorder_keeps_its_files_and_stays_mounted(verbs: Verbs, recorder: Make) -> None:
    """As by the switch on an SD card: the kernel itself refuses to make it writable."""
    one = recorder("a.mp4")
    node = run("losetup", "--find")
    run("losetup", "--read-only", node, one.image)
    one.node = node
    run("udevadm", "settle")
    lent = verbs.mount(one.volume())
    before = one.digest()
    began = time.monotonic()
    try:
        fates = verbs.erase(lent.path, listed(lent.path, "a.mp4"))
    except OSError:
        pass
    else:
        assert outcomes(fates)["a.mp4"] != "erased"
    assert time.monotonic() - began < 10
    assert one.digest() == before and read_only(one.node)
    assert (lent.path / "a.mp4").read_bytes() == b"a.mp4" * 1000
    verbs.unmount(lent.path)
