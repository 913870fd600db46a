"""Whatever lies on the boot partition: the station comes up, takes what is good, and says what is not."""

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load
from agent.config.documents import LARGEST_FILE
from agent.config.layers import roster_path
from agent.config.roster import read as read_roster
from agent.errors import ConfigError, Stop
from agent.image import files, ports_rules
from agent.image.system import is_disk, mounted_at
from agent.words import words
from tests.image_house import House

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqGzzMv5oY7nGwKQ9e9Yv0m3T7mFmP0Jrj1f4aW1o2B it@office"


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "root")
    made.lay("station.yaml", "station: {name: 东站1, ntp: [10.0.0.1, ntp.local]}\n")
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files_of(house: House) -> dict[Path, int]:
    """A file that is written anew is another one."""
    return {path: path.stat().st_ino for path in house.paths.root.rglob("*") if path != house.paths.problems}


def test_a_good_boot_partition_gives_a_station_without_problems(house: House) -> None:
    house.lay("conf.d/10-site.yaml", "upload: {uploaders: 3}\n")
    house.lay("authorized_keys", f"# the office\r\n{KEY}\r\n")
    house.lay("shares.fstab", "//nas/clips /mnt/centre cifs credentials=/data/secrets/nas 0 0\n")
    (house.paths.root / "mnt").mkdir()
    assert house.boot() == []
    config = load(house.paths.station)
    assert (config.station.name, config.upload.uploaders) == ("东站1", 3)
    assert mode(house.paths.station) == 0o640
    assert house.system.host_name.startswith("station-1-")
    assert house.paths.host_name.read_text() == house.system.host_name + "\n"
    assert house.paths.time_servers.read_text() == "[Time]\nNTP=10.0.0.1 ntp.local\n"
    assert house.paths.authorized_keys.read_text() == KEY + "\n"
    assert mode(house.paths.authorized_keys) == 0o600
    share = house.paths.shares.read_text()
    assert share == "//nas/clips /mnt/centre cifs credentials=/data/secrets/nas,nosuid,nodev,noexec 0 0\n"
    assert (house.paths.root / "mnt/centre").is_dir()


def test_a_second_boot_changes_no_file(house: House) -> None:
    house.lay("authorized_keys", KEY)
    house.boot()
    before = {
        path: path.stat().st_ino for path in house.paths.root.rglob("*") if path != house.paths.problems
    }
    assert house.boot() == []
    after = {path: path.stat().st_ino for path in house.paths.root.rglob("*") if path != house.paths.problems}
    assert after == before
    assert len(house.system.ran) == 1  # systemd-timesyncd, once


def test_what_was_taken_from_the_boot_partition_is_taken_from_the_station(house: House) -> None:
    house.lay("conf.d/10-site.yaml", "")
    house.lay("authorized_keys", KEY)
    house.lay("ca.pem", "")
    house.lay("roster.csv", "recorder,officer\n")
    house.boot()
    for name in ("station.yaml", "roster.csv", "conf.d/10-site.yaml", "authorized_keys", "ca.pem"):
        (house.paths.boot / name).unlink()
    assert house.boot() == ["boot-no-config"]
    left = [path for path in house.paths.config.rglob("*") if path.is_file()]
    assert left == []
    assert not house.paths.authorized_keys.exists()
    assert not house.paths.time_servers.exists()
    assert house.system.host_name == "station-01234567"


@pytest.mark.parametrize(
    "content",
    [
        b"station: {name: x\n",
        b"\xff\xfe" + "station: {name: 站}".encode("utf-16-le"),
        "station: {name: 东城}".encode("gbk"),
        b"x" * (LARGEST_FILE + 5),
        b"\0" * 100,
    ],
)
def test_a_broken_station_yaml_is_copied_as_it_is_for_the_agent_to_tell(house: House, content: bytes) -> None:
    house.lay("station.yaml", content)
    assert house.boot() == []
    assert house.paths.station.read_bytes() == content[: LARGEST_FILE + 1]
    with pytest.raises(ConfigError):
        load(house.paths.station)


def test_a_station_yaml_with_a_fault_still_gives_name_and_time(house: House) -> None:
    house.lay("station.yaml", "station: {name: north, ntp: [10.0.0.1]}\nuplaod: {}\n")
    assert house.boot() == []
    assert house.system.host_name == "north"
    assert house.paths.time_servers.exists()


def test_windows_editors_are_understood(house: House) -> None:
    house.lay("station.yaml", "\ufeffstation:\r\n  name: north\r\n")
    house.lay("authorized_keys", KEY.encode("utf-16"))
    assert house.boot() == []
    assert load(house.paths.station).station.name == "north"
    assert house.paths.authorized_keys.read_text() == KEY + "\n"


@pytest.mark.parametrize(
    "content",
    [
        b"recorder,officer,unit\r\n8888888,P1,east\r\n",
        "recorder,officer,unit\n8888888,王伟,东城\n".encode("gbk"),
        b"no roster at all",
        b"x" * (LARGEST_FILE + 5),
    ],
)
def test_a_roster_is_copied_as_it_is_and_the_agent_tells_its_faults(house: House, content: bytes) -> None:
    house.lay("roster.csv", content)
    house.lay("station.yaml", "roster: roster.csv\n")
    assert house.boot() == []
    copy = roster_path(house.paths.station, load(house.paths.station))
    assert copy
    assert copy.read_bytes() == content[: LARGEST_FILE + 1]
    assert copy.stat().st_mode & 0o777 == 0o640  # it names people
    if b"P1" in content:
        assert [line.recorder for line in read_roster(copy).lines] == ["8888888"]
    else:
        with pytest.raises(ConfigError):
            read_roster(copy)


def test_a_roster_that_is_not_to_be_read_spoils_nothing_and_is_told(house: House) -> None:
    (house.paths.boot / "roster.csv").mkdir()
    house.lay("station.yaml", "station: {name: north}\n")
    assert house.boot() == ["boot-file-unreadable"]
    assert house.problems()[0]["params"]["file"] == "roster.csv"
    assert load(house.paths.station).station.name == "north"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("station.yaml.txt", "station.yaml"),
        ("roster.xlsx", "roster.csv"),
        ("roster.csv.txt", "roster.csv"),
        ("station.yml", "station.yaml"),
        ("stations.csv.txt", "stations.csv"),
        ("stations.xlsx", "stations.csv"),
        ("authorized_keys.pub", "authorized_keys"),
        ("authorized-keys", "authorized_keys"),
        ("shares.fstab.bak", "shares.fstab"),
        ("conf.d/10-site.yaml.txt", "10-site.yaml"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_one(house: House, name: str, meant: str) -> None:
    house.lay(name, "")
    assert house.boot() == ["boot-wrong-name"]
    assert house.problems()[0]["params"] == {"file": name, "meant": meant}


def test_what_belongs_there_is_no_wrong_name(house: House) -> None:
    for name in ("README.txt", "EFI/BOOT/BOOTX64.EFI", "grub/grubenv", "config.txt", "station.yaml.bak"):
        house.lay(name, "")
    house.lay("conf.d/._10-site.yaml", "")
    assert house.boot() == []


def test_each_broken_file_spoils_nothing_but_itself(house: House) -> None:
    house.lay("stations.csv", b"\x81\xff" * 10)
    house.lay("fleet.url", "see the wiki\n")
    house.lay("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    house.lay("shares.fstab", "/dev/sda1 /mnt/x ext4 defaults 0 0\n//nas/c /etc cifs x 0 0\nx\n")
    house.lay("authorized_keys", f"command=x {KEY}\nssh-ed25519 AAAA\n{KEY}\n")
    house.lay("conf.d/50-fleet.yaml", "x: 1\n")
    (house.paths.boot / "conf.d/20.yaml").mkdir()
    house.lay("secrets/empty", "")
    assert sorted(house.boot()) == sorted(
        ["boot-reserved-name", "boot-file-unreadable", "boot-bad-ca", "fleet-bad-url", "boot-file-no-text"]
        + ["boot-bad-ssh-key"] * 2
        + ["boot-bad-share"] * 3
        + ["secret-empty"]
    )
    assert load(house.paths.station).station.name == "东站1"
    assert house.paths.authorized_keys.read_text() == KEY + "\n"
    assert not house.paths.shares.exists()
    assert (house.paths.identity / "station.key").exists()


def test_every_problem_has_a_sentence(house: House) -> None:
    test_each_broken_file_spoils_nothing_but_itself(house)
    assert {problem["key"] for problem in house.problems()} <= set(words("en")["problems"])


def test_a_private_key_is_never_taken_for_a_public_one(house: House) -> None:
    house.lay("authorized_keys", f"{KEY}\n-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    assert house.boot() == ["boot-private-key"]
    assert not house.paths.authorized_keys.exists()


def test_a_bug_in_one_part_is_a_problem_and_no_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.image.copied.copy_config", lambda *_: 1 / 0)
    monkeypatch.setattr("agent.image.copied.copy_keys", lambda *_: Path("/nonexistent").stat())
    assert house.boot() == ["boot-step-failed", "boot-step-failed"]
    assert (house.paths.identity / "station.crt").exists()


def test_without_boot_partition_the_station_comes_up(house: House) -> None:
    for file in house.paths.boot.iterdir():
        file.unlink()
    house.system.kinds["boot"] = ""
    assert house.boot() == ["boot-partition-missing", "boot-no-config"]
    assert house.system.host_name == "station-01234567"


@pytest.mark.parametrize("kind", ["", "tmpfs", "overlay"])
def test_a_data_disk_that_is_none_gets_nothing_that_must_last(house: House, kind: str) -> None:
    house.system.kinds["data"] = kind
    secret = house.lay("secrets/nas", "password=x")
    assert house.boot() == ["secret-no-disk"]
    assert house.paths.data_problem.read_text() == "missing\n"
    assert list(house.paths.data.iterdir()) == []
    assert secret.read_text() == "password=x"


def test_what_the_initramfs_said_of_the_data_disk_stands(house: House) -> None:
    house.paths.run.mkdir()
    house.paths.data_problem.write_text("two\n")
    assert house.boot() == []
    assert house.paths.data_problem.read_text() == "two\n"
    assert list(house.paths.data.iterdir()) == []


@pytest.mark.parametrize(("number", "word"), [(30, "read-only"), (28, ""), (5, "damaged")])
def test_a_data_disk_that_cannot_be_written_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, number: int, word: str
) -> None:
    def refuse(_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr("agent.image.boot._try_to_write", refuse)
    house.boot()
    assert (house.paths.data_problem.read_text().strip() if house.paths.data_problem.exists() else "") == word
    assert (house.paths.identity / "station.key").exists() is (word == "")


def test_a_boot_step_that_was_ended_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.image.copied.copy_config", killed)
    with pytest.raises(KeyboardInterrupt):
        house.boot()
    assert [problem["key"] for problem in house.problems()] == ["boot-step-failed"]


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_fault(data: bytes) -> None:
    try:
        assert "\0" not in files.decoded(data, "x")
    except Stop as error:
        assert error.key == "boot-file-no-text"


def test_the_last_mount_at_a_place_is_the_one_that_counts() -> None:
    mounts = (
        "22 1 0:20 / /data rw - tmpfs tmpfs rw\n"
        "23 22 8:3 / /data rw,relatime shared:2 - ext4 /dev/sda4 rw\n"
        "24 1 8:1 / /data/x rw - vfat /dev/sda1 rw\n"
    )
    assert mounted_at(mounts, Path("/data")) == "ext4"
    assert mounted_at(mounts, Path("/boot")) == ""
    assert [is_disk(kind) for kind in ("ext4", "tmpfs", "")] == [True, False, False]


def test_named_input_ports_become_rules_that_udev_reads(house: House) -> None:
    house.lay("station.yaml", "dock: {input_ports: {scanner: 'pci-0000:00:14.0-usb-0:5'}}\n")
    assert house.boot() == []
    assert "scanner" in house.paths.port_rules.read_text()
    assert house.system.ran == [list(command) for command in ports_rules.RELOAD]
    # With a fault in the files no input device is accepted anywhere.
    house.lay("conf.d/10.yaml", "uplaod: 1\n")
    assert house.boot() == []
    assert not house.paths.port_rules.exists()
    assert len(house.system.ran) == 2 * len(ports_rules.RELOAD)


@pytest.mark.parametrize("guide", ["deploy.md", "deploy.zh-CN.md"])
def test_the_examples_of_the_guide_work(house: House, guide: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / guide).read_text("utf-8")
    examples = re.findall(r"^```(?:text|yaml)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (station,) = (each for each in examples if each.startswith("station:"))
    (stations,) = (each for each in examples if each.startswith("mac,"))
    (shares,) = (each for each in examples if each.startswith("//"))
    house.sys("class/net/eth0/address", "00:1a:2b:3c:4d:5e\n")
    house.sys("firmware/devicetree/base/serial-number", "another")
    for name, content in (("station.yaml", station), ("stations.csv", stations), ("shares.fstab", shares)):
        house.lay(name, content)
    house.lay("slots/rack-16.yaml", 'A1: "pci-0000:00:14.0-usb-0:1"\n')
    (house.paths.root / "mnt").mkdir()
    assert house.boot() == []
    assert load(house.paths.station).station.name == "东城一号"
    assert list(load(house.paths.station).dock.slots) == ["A1"]
    assert house.paths.shares.exists()
    house.sys("class/net/eth0/address", "02:00:00:00:00:01\n")
    house.sys("firmware/devicetree/base/serial-number", "10000000ABCDEF12\0")
    assert house.boot() == []
    assert list(load(house.paths.station).dock.slots) == ["A1", "A2"]


def test_a_share_with_a_field_too_few_does_not_show_its_password(house: House) -> None:
    house.lay(
        "shares.fstab", "//nas/c /mnt/c username=a,password=geheim 0 0\n//nas/c password=geheim cifs x\n"
    )
    assert house.boot() == ["boot-bad-share", "boot-bad-share"]
    assert "geheim" not in house.paths.problems.read_text()
