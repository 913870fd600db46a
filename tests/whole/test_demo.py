"""The demo as a newcomer runs it, with either store."""

import json
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from scripts import weed as seaweed
from scripts.demo_bucket import Bucket
from scripts.demo_centre import seaweedfs
from scripts.demo_process import HOST, DemoError

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-P", "-m", "scripts.demo")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
SMALL = ("--recorders=3", "--clips=6", "--size=300KiB")
PATIENCE = 120.0  # seconds until a test gives up waiting


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(("options", "kind"), [((), "s3"), (("--store", "folder"), "folder")])
def test_one_command_docks_recorders_and_ends_with_every_clip_at_the_centre(
    options: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    ran = demo("--once", "--json", *SMALL, "--keep", str(kept), *options)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["recorders"], summary["clips"], summary["confirmed"]) == (3, 18, 18)
    assert summary["quarantined"] == 0
    assert summary["bytes"] == sum(f.stat().st_size for f in kept.glob("rack/*/DCIM/*/*"))
    assert summary["seconds"] > 0
    centre = yaml.safe_load((kept / "station.yaml").read_text())["targets"]["centre"]
    assert centre["kind"] == kind
    where = centre["path"] if kind == "folder" else f"{centre['url']}, bucket {centre['bucket']}"
    assert where in ran.stderr.replace("\n", "")  # however wide the terminal


def test_a_folder_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ran = demo("--once", "--keep", str(tmp_path))
    assert ran.returncode == 1
    assert "--keep wants a new folder" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# the store


def test_the_station_gets_a_bucket_with_object_lock_that_it_cannot_remake(tmp_path: Path) -> None:
    with seaweedfs(tmp_path) as store:
        keys, secrets = store.keys.read_text(), [tmp_path / "centre.keys", tmp_path / "centre.json"]
        assert [stat.S_IMODE(file.stat().st_mode) for file in secrets] == [0o600, 0o600]
        found = re.search(r"key_id = (\w+)\n.*access_key = (\w+)\n", keys)
        assert found
        station = Bucket(f"{HOST}:{store.ports.s3}", "clips", seaweed.Identity(found[1], found[2]))
        with station._asked("GET", query={"object-lock": ""}) as answer:
            assert "<ObjectLockEnabled>Enabled<" in answer.text
        with pytest.raises(DemoError, match="403"):
            Bucket(f"{HOST}:{store.ports.s3}", "another", seaweed.Identity(found[1], found[2])).make()


def test_a_machine_that_cannot_run_seaweedfs_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seaweed, "WEED", Path("/bin/false"))
    with pytest.raises(DemoError, match="run scripts/demo --store folder"), seaweedfs(tmp_path):
        pass


@pytest.fixture
def short() -> Iterator[Path]:
    """For sockets, whose paths have 107 bytes at most."""
    with TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_of_the_demo_is_seen_from_elsewhere_or_outlives_it(
    number: signal.Signals, tmp_path: Path, short: Path
) -> None:
    kept = tmp_path / "kept"
    command = [*COMMAND, "--recorders=1", "--clips=1", "--size=1KiB", "--keep", str(kept)]
    environment = {**ENVIRONMENT, "TMPDIR": str(short)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            until(lambda: len(started_with(kept)) == 2 and (kept / "agent.log").stat().st_size > 0)
            weed, words = next((pid, words) for pid, words in started_with(kept).items() if "-s3" in words)
            assert {host for host, _ in listening(weed)} == {HOST}
        finally:
            running.send_signal(number)
    until(lambda: not started_with(kept))
    sockets = [
        Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")
        for part, port in re.findall(r"-(\w+)\.port\.grpc=(\d+)", " ".join(words))
    ]
    assert len(sockets) == 4
    left = [path for path in (*sockets, *short.iterdir()) if path.exists()]
    for socket in sockets:
        socket.unlink(missing_ok=True)
    assert not left or number == signal.SIGKILL  # which leaves nobody who could clear them


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def started_with(folder: Path) -> dict[int, list[str]]:
    """Process id → command line, of all that the demo has started with something in `folder`."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue  # it has ended
        if "scripts.demo" not in words and any(str(folder) in word for word in words):
            found[int(process.name)] = words
    return found


def listening(pid: int) -> set[tuple[str, int]]:
    """Address and port of each TCP socket that a process listens at, as proc_net_tcp(5) tells them."""
    held = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile: a server at work opens and closes many
            held.add(str(fd.readlink()))
    tables = (Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6"))
    rows = [row.split() for table in tables for row in table]
    return {
        (ntop(address), int(port, 16))
        for _, local, _, state, *_, inode in (row[:10] for row in rows)
        if state == "0A" and f"socket:[{inode}]" in held
        for address, port in [local.split(":")]
    }


def ntop(words: str) -> str:
    """Each word of 32 bits is told as a number, and its bytes are as they lie in memory."""
    raw = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return str(ip_address(raw))
