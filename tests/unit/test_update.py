"""`recorder-station update`: with real bundles and RAUC's own judgement. Installing is tried in the VM."""

import functools
import http.server
import json
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent import booted
from agent.cli import app, update
from agent.errors import Stop
from agent.image import bundle as bundles
from agent.image.paths import Paths
from agent.image.rauc import Progress, Rauc, refusal
from tests.here import require
from tests.image_house import HereSystem
from tests.unit.test_image_slots import KEPT, lay

COMPATIBLE = "recorder-station-amd64"


class Workshop:
    """Keys, and bundles signed with them."""

    def __init__(self, folder: Path) -> None:
        require("openssl", "rauc")
        self.folder = folder
        self._key("ours")
        self._key("theirs")

    def bundle(self, name: str, signer: str = "ours", compatible: str = COMPATIBLE) -> Path:
        content = self.folder / f"{name}.content"
        content.mkdir()
        (content / "root.img").write_bytes(random.Random(1).randbytes(300_000))
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible={compatible}\nversion=0.2.0\n\n[bundle]\nformat=verity\n\n"
            "[image.rootfs]\nfilename=root.img\n"
        )
        made = self.folder / f"{name}.raucb"
        signing = [f"--cert={self.folder}/{signer}.cert", f"--key={self.folder}/{signer}.key"]
        _run("rauc", "bundle", *signing, content, made)
        return made

    def config(self) -> Path:
        file = self.folder / "system.conf"
        file.write_text(
            f"[system]\ncompatible={COMPATIBLE}\nbootloader=noop\nbundle-formats=verity\n"
            f"[keyring]\npath={self.folder}/ours.cert\nuse-bundle-signing-time=true\n"
        )
        return file

    def _key(self, name: str) -> None:
        _run("openssl", "req", "-batch", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key",
             "-out", self.folder / f"{name}.cert")  # fmt: skip


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def good(workshop: Workshop) -> Path:
    return workshop.bundle("good")


def flipped(bundle: Path, at: int, folder: Path) -> Path:
    """One bit of it is another."""
    changed = folder / "changed.raucb"
    shutil.copyfile(bundle, changed)
    with changed.open("r+b") as file:
        file.seek(at, 2 if at < 0 else 0)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    return changed


class RecordingRauc(Rauc):
    """Judges for real, and writes down in place of installing."""

    def __init__(self, *options: str) -> None:
        super().__init__(options)
        self.installed: list[bytes] = []
        self.fails = ""

    def install(self, bundle: Path, progress: Progress) -> None:
        if self.fails:
            raise Stop("update-failed", reason=self.fails)
        progress(50, "Copying image to rootfs.1")
        self.installed.append(bundle.read_bytes())


class Station:
    """An image on which slot A runs."""

    def __init__(self, root: Path, rauc: RecordingRauc) -> None:
        self.paths = Paths(root)
        self.system = HereSystem()
        self.rauc = rauc
        for folder in (self.paths.data, self.paths.boot, self.paths.image.parent):
            folder.mkdir(parents=True)
        self.paths.image.write_text("0.1.0 amd64\n")
        lay(self.paths, "A", **KEPT)

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, ["update", *map(str, arguments), "--lang", "en"])


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> Station:
    config = workshop.config()
    made = Station(tmp_path / "root", RecordingRauc(f"--conf={config}"))
    monkeypatch.setattr(update, "PATHS", made.paths)
    monkeypatch.setattr(update, "SYSTEM", made.system)
    monkeypatch.setattr(update, "RAUC", made.rauc)
    monkeypatch.setattr(update, "CONFIG", config)
    monkeypatch.setattr(booted, "IMAGE", made.paths.image)
    return made


def test_a_signed_bundle_is_installed_and_what_happens_next_is_told(station: Station, good: Path) -> None:
    result = station.run(good)
    assert result.exit_code == 0, result.output
    assert station.rauc.installed == [good.read_bytes()]
    assert "50 %  Copying image" in result.stderr
    assert "Version 0.2.0 is installed; 0.1.0 runs until the next restart" in result.stderr
    assert list(station.paths.updates.iterdir()) == []
    assert station.system.ran == []


def test_the_station_restarts_only_when_asked_to(station: Station, good: Path) -> None:
    assert station.run(good, "--reboot").exit_code == 0
    assert station.system.ran == [["systemctl", "reboot"]]


def refused(station: Station, bundle: object, *words: str) -> None:
    result = station.run(bundle)
    assert result.exit_code == 1
    assert "Nothing was changed." in result.stderr
    for word in words:
        assert word in result.stderr
    assert station.rauc.installed == []
    if station.paths.updates.exists():
        assert list(station.paths.updates.iterdir()) == []


def test_a_bundle_of_somebody_else_is_refused(station: Station, workshop: Workshop) -> None:
    refused(station, workshop.bundle("foreign", signer="theirs"), "not signed by whom this station trusts")


@pytest.mark.parametrize("at", [100, 100_000, -5000])
def test_a_bundle_that_was_changed_anywhere_is_refused(
    station: Station, good: Path, tmp_path: Path, at: int
) -> None:
    """RAUC's own `info` looks at the signature alone: a flipped bit in the content must be found as well."""
    refused(station, flipped(good, at, tmp_path))


def test_a_changed_content_is_called_what_it_is(station: Station, good: Path, tmp_path: Path) -> None:
    refused(station, flipped(good, 4096, tmp_path), "changed after it was signed")


def test_a_bundle_for_another_machine_is_refused(station: Station, workshop: Workshop) -> None:
    other = workshop.bundle("arm64", compatible="recorder-station-arm64")
    refused(station, other, "is for recorder-station-arm64, this station is recorder-station-amd64")


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 100_000])
def test_what_is_no_bundle_is_refused(station: Station, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.raucb").write_bytes(content)
    refused(station, tmp_path / "x.raucb")


def test_a_file_that_is_not_there_is_refused(station: Station, tmp_path: Path) -> None:
    refused(station, tmp_path / "none.raucb", "No such file or directory")
    refused(station, tmp_path, "Is a directory")


def test_a_disk_without_room_is_told_before_anything_is_written(
    station: Station, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "_SPARE", 1 << 60)
    refused(station, good, "are free")


def test_while_on_trial_no_other_update_takes_the_good_slot_away(station: Station, good: Path) -> None:
    lay(station.paths, "B", **{**KEPT, "TRIAL": "B", "B_TRY": 1})
    refused(station, good, "on trial")


def test_without_a_data_disk_there_is_no_update(station: Station, good: Path) -> None:
    station.system.kinds["data"] = "tmpfs"
    refused(station, good, "no usable data disk")


def test_an_installation_that_fails_leaves_the_boot_partition_read_only(station: Station, good: Path) -> None:
    station.rauc.fails = "I/O error"
    result = station.run(good, "--reboot")
    assert result.exit_code == 1
    assert "could not be installed: I/O error" in result.stderr
    assert station.system.boot_writable == [False]
    assert station.system.ran == []


def test_elsewhere_and_for_others_there_is_no_update(
    station: Station, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: 1000)
        assert "as root" in station.run(good).stderr
    monkeypatch.setattr(booted, "IMAGE", station.paths.root / "nothing")
    result = station.run(good)
    assert (result.exit_code, station.rauc.installed) == (1, [])
    assert "no station image" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["x.raucb", "--status"]])
def test_either_a_bundle_or_the_status_is_asked_for(station: Station, arguments: list[str]) -> None:
    assert station.run(*arguments).exit_code == 2


# from the intranet


@pytest.fixture
def intranet(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", served
        server.shutdown()


def test_a_bundle_comes_from_the_intranet(station: Station, good: Path, intranet: tuple[str, Path]) -> None:
    url, served = intranet
    shutil.copyfile(good, served / "update.raucb")
    assert station.run(f"{url}/update.raucb").exit_code == 0
    assert station.rauc.installed == [good.read_bytes()]
    refused_again = station.run(f"{url}/none.raucb")
    assert refused_again.exit_code == 1
    assert "HTTP 404" in refused_again.stderr
    assert "Connection refused" in station.run("http://127.0.0.1:9/x.raucb").stderr


# what it says afterwards


def test_the_status_tells_both_slots(station: Station) -> None:
    lay(station.paths, "A", **{**KEPT, "TRIAL": "B", "B_TRY": 1})
    result = station.run("--status")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "A  0.1.0  good · runs"
    assert lines[1] == "B  ?  did not come up"
    assert lines[2].startswith("Slot B had its trial")
    told = json.loads(station.run("--status", "--json").stdout)
    assert told == {
        "running": "A",
        "fell_back": "B",
        "slots": {"A": {"state": "good", "version": "0.1.0"}, "B": {"state": "fell-back", "version": ""}},
    }


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("rauc-Message: x\nsignature verification failed: Verify error: self-signed\n", "update-unsigned"),
        ("Failed to extract bundle: bundle payload is corrupted\n", "update-tampered"),
        ("Invalid bundle format: Signature size (8) exceeds bundle size\n", "update-unsigned"),
        ("bundle format 'plain' not allowed\n", "update-refused"),
        ("", "update-refused"),
    ],
)
def test_what_rauc_says_is_understood(said: str, key: str) -> None:
    assert refusal(said).key == key
