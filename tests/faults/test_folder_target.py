"""The folder target where the share, the disk or the station really fails: the crash table's upload rows."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import Transient
from agent.model import Receipt, StoredClip
from agent.upload.breaker import BreakerState
from agent.upload.scheduler import Uploads
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.folder import MARK, FolderTarget
from tests.dockside import Dockside, digest, recorder
from tests.here import require
from tests.uploading import PART, Station, content, locked

REPOSITORY = Path(__file__).parents[2]
HOUR = 3600.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


@contextmanager
def mounted(*arguments: str, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", *arguments, str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def remount(at: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(at)], check=True)


def problem(station: Station) -> str:
    found = station.uploads.facts()["centre"].problem
    return found.key if found else ""


def test_a_full_share_holds_the_clip_back_and_takes_it_when_there_is_room(tmp_path: Path) -> None:
    require("tmpfs")
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", at=tmp_path / "share") as share:
        station = Station(tmp_path)
        data = content(40 * PART)
        large, small = station.store("large.mp4", data), station.store("small.mp4", content(10))
        for _ in range(5):
            station.run()
            assert station.state(large) == "uploading"
            station.clock.now += HOUR
        assert problem(station) == "target-full"
        assert "target-full" in station.delivery(large)["problem"]
        before = station.taken()
        assert 0 < before < len(data)
        remount(share, "size=8m")
        station.clock.now += HOUR
        station.run()
        station.clock.now += HOUR
        station.run()
        assert {station.state(large), station.state(small)} == {"confirmed"}
        assert station.at_centre(large) == data
        assert station.taken() == len(data) + 10  # nothing was sent twice
        assert not any((share / "incoming").iterdir())
        station.close()


def test_a_share_that_became_read_only_stops_the_target_until_somebody_acts(tmp_path: Path) -> None:
    require("tmpfs")
    with mounted("-t", "tmpfs", "tmpfs", at=tmp_path / "share") as share:
        station = Station(tmp_path)
        first = station.store("1.mp4", b"first")
        station.run()
        remount(share, "ro")
        second = station.store("2.mp4", b"second")
        station.run()
        assert problem(station) == "target-auth"
        assert station.uploads.facts()["centre"].breaker is BreakerState.OPEN
        remount(share, "rw")
        station.clock.now += HOUR
        station.run()
        assert {station.state(first), station.state(second)} == {"confirmed"}
        station.close()


def test_a_share_that_is_not_mounted_gets_nothing_into_its_mount_point(tmp_path: Path) -> None:
    require("root")
    (tmp_path / "server").mkdir()
    point = tmp_path / "share"
    with mounted("--bind", str(tmp_path / "server"), at=point):
        station = Station(tmp_path)
        first = station.store("1.mp4", b"first")
        station.run()
    second = station.store("2.mp4", b"second")
    target = FolderTarget("centre", point, first_contact=False)  # as after a restart without the share
    station.targets = {"centre": target}
    station.uploads = station.make_uploads()
    station.run()
    assert problem(station) == "target-not-mounted"
    assert not any(point.iterdir())
    with mounted("--bind", str(tmp_path / "server"), at=point):
        assert (point / MARK).exists()
        station.clock.now += HOUR
        station.run()
        assert {station.state(first), station.state(second)} == {"confirmed"}
        assert station.at_centre(second) == b"second"
    station.close()


def test_a_share_on_a_file_system_of_its_own_is_marked_at_first_contact(tmp_path: Path) -> None:
    require("tmpfs")
    never_on = (Path("/"), tmp_path)
    with mounted("-t", "tmpfs", "tmpfs", at=tmp_path / "share") as share:
        place = FolderTarget("centre", share, first_contact=True, never_on=never_on).place()
        assert place in (share / MARK).read_text()
    with pytest.raises(Transient) as raised:
        FolderTarget("centre", tmp_path / "share", first_contact=True, never_on=never_on).place()
    assert raised.value.key == "target-not-mounted"


def test_a_clip_whose_copy_is_gone_from_the_store_is_collected_again(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    (tmp_path / "share").mkdir()
    centre = FolderTarget("centre", tmp_path / "share", first_contact=True)
    card = recorder(tmp_path / "card", {"DCIM/a.mp4": 5000})
    assert side.dock(card)[0]
    [copy] = side.store.clips.rglob("*.mp4")
    copy.unlink()
    uploads = Uploads(side.catalog, {"centre": centre}, side.store.path, lock=locked())
    while uploads.step():
        pass
    assert side.states() == {"quarantined": 1}
    assert side.dock(card)[0]
    assert side.stored_digests()
    while uploads.step():
        pass
    assert digest(tmp_path / "card" / "DCIM" / "a.mp4") in {
        digest(path) for path in (tmp_path / "share" / "clips").rglob("*.mp4")
    }
    side.close()


#: Sends until all is confirmed, but kills itself before its nth call that touches a file.
SENDER = """
import os, signal, sys
from pathlib import Path
from tests.uploading import Station
station = Station(Path(sys.argv[1]))
left = int(sys.argv[2])

def deadly(call):
    def counted(*arguments, **named):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counted

for name in "open mkdir pwrite preadv fsync fdatasync ftruncate rename unlink close".split():
    setattr(os, name, deadly(getattr(os, name)))
print("up", flush=True)
while station.states() != {"confirmed"}:
    station.clock.now += 3600
    station.run()
os._exit(0)
"""


def killed(root: Path, at_call: int, after: float) -> bool:
    """Run a sender until it has killed itself at a call, or we have so many seconds after it came up;
    False when it was done before."""
    command = [sys.executable, "-c", SENDER, str(root), str(at_call)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"up\n"
        try:
            result = sender.wait(after)
        except subprocess.TimeoutExpired:
            sender.kill()
            return True
    assert result in (0, -signal.SIGKILL)
    return result != 0


def test_a_station_killed_at_any_moment_of_sending_goes_on(tmp_path: Path) -> None:
    rng = random.Random(20260101)
    station = Station(tmp_path)
    sizes = [0, 1, PART, 5 * PART + 7, *(rng.randrange(30 * PART) for _ in range(8))]
    clips = {station.store(f"{n}.mp4", content(size, n)): (size, n) for n, size in enumerate(sizes)}
    known: set[int] = set()
    kills = 0
    # Calls find the gaps between two steps; moments find the middle of a commit.
    while killed(tmp_path, *rng.choice([(rng.randrange(1, 200), 30.0), (0, rng.uniform(0, 0.05))])):
        kills += 1
        confirmed = {clip for clip in clips if station.state(clip) == "confirmed"}
        assert known <= confirmed
        known = confirmed
        assert kills < 300
    for clip, (size, n) in clips.items():
        assert station.at_centre(clip) == content(size, n)
        assert [kind for kind, _ in station.events(clip)].count("confirmed") == 1
    files = [path for path in (tmp_path / "share").rglob("*") if path.is_file() and path.name != MARK]
    assert len(files) == 2 * len(clips)
    assert kills >= 5, "nothing was tested"
    station.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_bit_that_flips_in_the_store_never_reaches_confirmed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    station = Station(tmp_path)
    data = content(rng.randrange(1, 4 * PART), seed)
    clip = station.store("1.mp4", data)
    with station.path(station.key(clip)).open("r+b") as file:
        at = rng.randrange(len(data))
        file.seek(at)
        file.write(bytes([data[at] ^ (1 << rng.randrange(8))]))
        os.fsync(file.fileno())
    station.run()
    assert station.state(clip) == "quarantined"
    kind, body = station.events(clip)[-1]
    assert (kind, body["reason"]) == ("quarantined", "not-equal")
    assert body["params"] == {"path": station.key(clip), "part": at // PART}
    assert not (station.share / "clips").exists()
    assert not any((station.share / "incoming").iterdir())
    station.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_bit_that_flips_at_the_centre_before_it_is_verified_is_sent_again(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    flips = 1

    class Rotting(FolderTarget):
        def verify(
            self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
        ) -> Receipt:
            nonlocal flips
            if flips:
                flips -= 1
                with (self.root / "clips" / clip.key).open("r+b") as file:
                    at = rng.randrange(clip.manifest.size)
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ (1 << rng.randrange(8))]))
            return super().verify(clip, token, check)

    (tmp_path / "share").mkdir()
    station = Station(tmp_path, {"centre": Rotting("centre", tmp_path / "share", first_contact=True)})
    data = content(rng.randrange(1, 4 * PART), seed)
    clip = station.store("1.mp4", data)
    station.run()
    assert station.state(clip) == "uploading"
    station.clock.now += HOUR
    station.run()
    assert station.state(clip) == "confirmed"
    assert station.at_centre(clip) == data
    [aside] = (tmp_path / "share" / "damaged").iterdir()
    assert aside.stat().st_size == len(data)
    station.close()
