"""What is told of the machine itself and of its rack, read from files such as a kernel keeps them."""

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent import booted
from agent.config import Config
from agent.config.targets import FolderTarget, S3Target, TusTarget
from agent.image.identity import CERTIFICATE
from agent.image.paths import Paths
from agent.model import Problem, SlotState, SlotStatus
from agent.status.health import Check, Severity
from agent.status.health.certificates import Kept, certificates_check, configured
from agent.status.health.heat import heat_check
from agent.status.health.machine import machine_checks
from agent.status.health.power import power_check
from agent.status.health.rtc import rtc_check
from agent.status.health.slots import Uncollected, slots_check
from agent.status.health.wear import wear_check
from agent.status.validity import ends

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
NOW = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
DAY = 86400.0
KEY = ec.generate_private_key(ec.SECP256R1())


def found(check: Check) -> list[tuple[str, Severity]]:
    return [(issue.key, issue.severity) for issue in check()]


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


@pytest.mark.parametrize(
    ("life", "spare", "expected"),
    [
        ("0x01 0x01", "0x01", []),
        ("0x08 0x08", "0x01", []),
        ("0x01 0x09", "0x01", [("disk-wearing", WARNING)]),
        ("0x0a 0x02", "0x01", [("disk-wearing", WARNING)]),
        ("0x01 0x01", "0x02", [("disk-wearing", WARNING)]),
        ("0x01 0x0b", "0x01", [("disk-worn", CRITICAL)]),
        ("0x01 0x01", "0x03", [("disk-worn", CRITICAL)]),
        ("0x00 0x00", "0x00", []),
        ("0xff rubbish", "", []),
    ],
)
def test_emmc_that_wears_out_is_told_before_it_fails(
    tmp_path: Path, life: str, spare: str, expected: list[tuple[str, Severity]]
) -> None:
    put(tmp_path / "block/mmcblk0/device/life_time", life)
    put(tmp_path / "block/mmcblk0/device/pre_eol_info", spare)
    put(tmp_path / "block/mmcblk1/device/type", "SD")  # tells nothing, and nothing is made of that
    assert found(wear_check(tmp_path)) == expected


def test_the_part_of_an_emmc_that_is_worn_most_counts(tmp_path: Path) -> None:
    put(tmp_path / "block/mmcblk2/device/life_time", "0x02 0x0A")
    [issue] = wear_check(tmp_path)()
    assert issue.params == {"disk": "mmcblk2", "percent": 90}


def test_a_machine_without_a_clock_of_its_own_is_told_and_alarms_nobody(tmp_path: Path) -> None:
    assert found(rtc_check(lambda: True, tmp_path)) == [("rtc-missing", INFO)]


def test_a_hardware_clock_that_is_wrong_is_told_only_where_it_can_be_known(tmp_path: Path) -> None:
    for off, expected in ((-59, []), (59, []), (-3600, [("rtc-off", WARNING)]), (61, [("rtc-off", WARNING)])):
        put(tmp_path / "class/rtc/rtc0/since_epoch", str(int(NOW) + off))
        assert found(rtc_check(lambda: True, tmp_path, lambda: NOW)) == expected
        assert found(rtc_check(lambda: False, tmp_path, lambda: NOW)) == []


def test_the_hardware_clock_that_counts_is_the_one_that_the_system_starts_by(tmp_path: Path) -> None:
    put(tmp_path / "class/rtc/rtc0/since_epoch", "12")
    put(tmp_path / "class/rtc/rtc0/hctosys", "0")
    put(tmp_path / "class/rtc/rtc1/since_epoch", str(int(NOW)))
    put(tmp_path / "class/rtc/rtc1/hctosys", "1")
    assert found(rtc_check(lambda: True, tmp_path, lambda: NOW)) == []
    (tmp_path / "class/rtc/rtc1/since_epoch").unlink()
    assert found(rtc_check(lambda: False, tmp_path, lambda: NOW)) == [("rtc-unset", WARNING)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("0", []),
        ("50005", [("power-undervoltage", CRITICAL)]),
        ("1", [("power-undervoltage", CRITICAL)]),
        ("50000", [("power-undervoltage-before", WARNING)]),
        ("e0008", []),  # hot and slow, with power enough
        ("", []),
    ],
)
def test_too_weak_a_power_supply_is_told_as_the_firmware_knows_it(
    tmp_path: Path, word: str, expected: list[tuple[str, Severity]]
) -> None:
    put(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", word)
    assert found(power_check(tmp_path)) == expected


def test_too_weak_a_power_supply_is_told_as_the_kernel_knows_it(tmp_path: Path) -> None:
    put(tmp_path / "class/hwmon/hwmon0/name", "nvme")
    put(tmp_path / "class/hwmon/hwmon0/in0_lcrit_alarm", "1")  # somebody else's
    put(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt")
    put(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", "0")
    assert found(power_check(tmp_path)) == []
    put(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", "1")
    assert found(power_check(tmp_path)) == [("power-undervoltage", CRITICAL)]


def test_a_station_that_is_too_hot_is_told(tmp_path: Path) -> None:
    assert found(heat_check(tmp_path)) == []
    put(tmp_path / "class/thermal/thermal_zone0/temp", "55000")
    put(tmp_path / "class/thermal/thermal_zone1/temp", "255000")  # no sensor is this hot
    put(tmp_path / "class/thermal/thermal_zone2/temp", "no reading")
    assert found(heat_check(tmp_path)) == []
    put(tmp_path / "class/thermal/thermal_zone0/temp", "81234")
    [issue] = heat_check(tmp_path)()
    assert (issue.key, issue.params) == ("too-hot", {"celsius": 81})


def certificate(file: Path, days: int, begins: datetime = datetime(2026, 6, 1, tzinfo=UTC)) -> Path:
    """Valid for `days` from `begins` on."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "station")])
    made = x509.CertificateBuilder(name, name, KEY.public_key(), x509.random_serial_number())
    made = made.not_valid_before(begins).not_valid_after(begins + timedelta(days))
    file.write_bytes(made.sign(KEY, SHA256()).public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (31, []),
        (29, [("certificate-ends-soon", WARNING)]),
        (6, [("certificate-ends-now", CRITICAL)]),
        (-1, [("certificate-ended", CRITICAL)]),
        (40_000, []),  # a self-made one: its year has another form from 2050 on
    ],
)
def test_a_certificate_that_ends_is_told_in_time(
    tmp_path: Path, days: int, expected: list[tuple[str, Severity]]
) -> None:
    begins = datetime(2026, 5, 1, tzinfo=UTC)
    file = certificate(tmp_path / "one.crt", days + 31, begins)
    check = certificates_check(lambda: [Kept(file)], lambda: True, lambda: NOW)
    assert found(check) == expected
    assert found(certificates_check(lambda: [Kept(file)], lambda: False, lambda: NOW)) == []


def test_of_a_chain_the_first_end_counts_and_of_authorities_the_last(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    parts = [certificate(tmp_path / f"{days}.crt", days) for days in (5, 500)]
    both.write_bytes(b"subject=text between\n".join(part.read_bytes() for part in parts))
    assert [end.timestamp() for end in ends(both.read_bytes())] == [NOW + 5 * DAY, NOW + 500 * DAY]
    for authorities, expected in ((False, [("certificate-ends-now", CRITICAL)]), (True, [])):
        kept = Kept(both, authorities)
        assert found(certificates_check(lambda kept=kept: [kept], lambda: True, lambda: NOW)) == expected  # type: ignore[misc]


def test_a_file_that_holds_no_certificate_is_told_whatever_is_in_it(tmp_path: Path) -> None:
    good = certificate(tmp_path / "good.crt", 90).read_bytes()
    lines = good.splitlines()
    broken = [
        b"", b"\0" * 5000, b"\n".join([*lines[:3], *lines[4:]]), good[:200] + b"\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMIL/////\n-----END CERTIFICATE-----",
    ]  # fmt: skip
    for number, content in enumerate(broken):
        file = tmp_path / str(number)
        file.write_bytes(content)
        check = certificates_check(lambda file=file: [Kept(file)], lambda: True, lambda: NOW)  # type: ignore[misc]
        assert found(check) == [("certificate-unreadable", WARNING)], number
    missing = certificates_check(lambda: [Kept(tmp_path / "none")], lambda: True)
    assert found(missing) == [("certificate-unreadable", WARNING)]


def test_every_certificate_that_the_configuration_names_is_looked_at(tmp_path: Path) -> None:
    ca, own, key = tmp_path / "ca.pem", tmp_path / "own.crt", tmp_path / "own.key"
    share = FolderTarget(kind="folder", path=tmp_path)
    tus = TusTarget(kind="tus", url="https://tus.example.org", ca=ca, certificate=own, certificate_key=key)
    s3 = S3Target(kind="s3", url="https://s3.example.org", ca=ca, bucket="clips", credentials="s3")
    config = Config(targets={"a": share, "b": tus, "c": s3})
    assert list(configured(config, tmp_path / "none")) == [Kept(own), Kept(ca, authorities=True)]
    own.touch()
    assert list(configured(Config(), own)) == [Kept(own)]
    assert Paths().identity / CERTIFICATE == booted.CERTIFICATE


def test_looking_at_certificates_costs_the_boards_memory_nothing(tmp_path: Path) -> None:
    file = certificate(tmp_path / "one.crt", 90)
    kept = [Kept(file)] * 50
    list(certificates_check(lambda: kept, lambda: True, lambda: NOW)())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        assert list(certificates_check(lambda: kept, lambda: True, lambda: NOW)()) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024  # KiB


def test_a_machine_is_judged_as_a_whole_and_again_only_after_a_while(tmp_path: Path) -> None:
    checks = machine_checks(list, lambda: True, tmp_path)
    assert {name for name, check in checks.items() if list(check())} == {"rtc"}
    put(tmp_path / "class/thermal/thermal_zone0/temp", "99000")
    assert list(checks["heat"]()) == []
    assert found(machine_checks(list, lambda: True, tmp_path)["heat"]) == [("too-hot", WARNING)]


def test_a_stuck_slot_an_unknown_recorder_and_a_stranger_are_told() -> None:
    slots = [
        SlotStatus("1"),
        SlotStatus("2", SlotState.STUCK, recorder="8880001"),
        SlotStatus("3", SlotState.COLLECTED, recorder="AB12-CD34", problems=(Problem("unknown-recorder"),)),
        SlotStatus("4", SlotState.COLLECTING, recorder="8880002"),
        SlotStatus("5", SlotState.COLLECTING, recorder="8880003"),
        SlotStatus("6", SlotState.IDENTIFYING),
    ]
    issues = list(slots_check(lambda: slots, lambda recorder: recorder == "8880003")())
    assert [(issue.key, issue.subject) for issue in issues] == [
        ("slot-stuck", "2"),
        ("recorder-unknown", "3"),
        ("recorder-not-on-roster", "4"),
    ]
    assert {issue.severity for issue in issues} == {WARNING}


def test_a_recorder_that_stays_uncollected_is_told_however_often_it_is_tried_again() -> None:
    now, state = [0.0], [SlotState.COLLECTING]
    check = Uncollected(lambda: [SlotStatus("1", state[0], recorder="8880001")], lambda: now[0])

    def after(hours: float, what: SlotState) -> list[tuple[str, Severity]]:
        now[0], state[0] = now[0] + hours * 3600, what
        return found(check)

    assert after(0, SlotState.COLLECTING) == after(9, SlotState.COLLECTING) == []  # a long first try
    assert after(0, SlotState.FAILED) == after(1.5, SlotState.IDENTIFYING) == []
    assert after(1, SlotState.COLLECTING) == []
    assert after(0, SlotState.INCOMPLETE) == [("recorder-uncollected", WARNING)]
    assert after(0, SlotState.EMPTY) == after(1, SlotState.FAILED) == []
    assert after(2.1, SlotState.COLLECTED) == after(0, SlotState.FAILED) == []


def test_a_slot_that_is_out_of_use_is_not_called_stuck_and_its_recorder_not_forgotten() -> None:
    now = [0.0]
    away = (Problem("slot-out-of-use", {"slot": "3"}),)
    slots = [
        SlotStatus("1", SlotState.STUCK, recorder="8880001", out_of_use=1.0),
        SlotStatus("2", SlotState.OUT_OF_USE, out_of_use=1.0),
        SlotStatus("3", SlotState.OUT_OF_USE, out_of_use=1.0, problems=away),
        SlotStatus("4", SlotState.STUCK, recorder="8880004"),
    ]
    stuck = slots_check(lambda: slots, lambda recorder: True)
    assert [(issue.key, issue.subject) for issue in stuck()] == [("slot-stuck", "4")]
    check = Uncollected(lambda: slots, lambda: now[0])
    assert list(check()) == []
    now[0] = 3 * 3600
    assert [issue.subject for issue in check()] == ["1", "3"]


def test_what_is_refused_is_no_recorder_that_waits_to_be_collected() -> None:
    now = [0.0]
    refused = SlotStatus("1", SlotState.FAILED, problems=(Problem("refused-device", {"kind": "input"}),))
    check = Uncollected(lambda: [refused], lambda: now[0])
    list(check())
    now[0] = 9 * 3600
    assert found(check) == []
