"""The screen's unit and policy: nothing but the page is shown, and the browser can do no harm."""

import json
import re
from pathlib import Path

import pytest

from agent.config import Config
from agent.privileged import server
from tests.confined import SYSTEMD, settings, system_calls, words
from tests.here import require
from tests.image_house import House
from tests.unit.test_units import exposure

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "scripts/imaging/rootfs"
POLICY = OVERLAY / "etc/chromium/policies/managed/recorder-kiosk.json"
UNIT, AGENT = "recorder-kiosk.service", "recorder-station.service"
MOST_EXPOSED = 1.9  # more than the agent: a browser compiles scripts, and walls itself in by namespaces
BOARD = 1024  # MiB: the smallest machine
OF_THE_AGENT = 160  # MiB, and as much again for the rest of the system
EVERYWHERE = {"/data", "/boot", "/mnt", "/srv"}  # that a station may have clips, secrets or settings


def test_the_browser_is_hardly_exposed_and_has_no_right_of_its_own() -> None:
    require("systemd-analyze")
    assert exposure(UNIT) <= MOST_EXPOSED
    said = dict(settings(UNIT))
    assert said["CapabilityBoundingSet"] == said["AmbientCapabilities"] == ""
    assert said["NoNewPrivileges"] == said["RestrictSUIDSGID"] == "yes"
    refused = {"mount", "umount2", "setuid", "init_module", "bpf", "reboot", "ptrace_attach", "swapon"}
    assert not system_calls(UNIT) & refused


def test_the_browser_is_nobody_to_the_agent() -> None:
    said = dict(settings(UNIT))
    assert said["User"] == said["Group"] == "recorder-kiosk" != server.USER
    assert server.USER not in list(words(UNIT, "SupplementaryGroups"))


def test_store_catalog_secrets_and_socket_are_out_of_the_browsers_sight() -> None:
    assert set(words(UNIT, "InaccessiblePaths")) == {f"-{place}" for place in EVERYWHERE}
    hidden = {place.partition(":")[0] for place in words(UNIT, "TemporaryFileSystem")}
    assert hidden == {"/run", "/var"}
    for place in (Config().web.socket, Config().dock.helper, Config().store.path, server.MOUNTS):
        assert any(place.is_relative_to(wall) for wall in hidden | EVERYWHERE), place
    let_in = set(words(UNIT, "BindPaths")) | set(words(UNIT, "BindReadOnlyPaths"))
    devices = {"-/dev/dri", "-/dev/input", "-/dev/snd"}
    assert let_in == devices | {"/run/recorder-kiosk", "/run/systemd/notify", "/run/udev"}
    assert list(words(UNIT, "ReadWritePaths")) == []


def test_the_browser_reaches_this_machine_and_nobody_else() -> None:
    said = dict(settings(UNIT))
    assert (said["IPAddressDeny"], said["IPAddressAllow"]) == ("any", "localhost")


def test_a_browser_that_leaks_leaves_the_agent_its_memory() -> None:
    said, agent = dict(settings(UNIT)), dict(settings(AGENT))
    most, high = (int(said[key].removesuffix("M")) for key in ("MemoryMax", "MemoryHigh"))
    assert high < most <= BOARD - 2 * OF_THE_AGENT
    assert (said["MemorySwapMax"], said["OOMPolicy"]) == ("0", "kill")
    assert int(said["OOMScoreAdjust"]) > 0 > int(agent["OOMScoreAdjust"])


def test_the_screen_is_tried_for_ever_and_never_without_a_card() -> None:
    said = dict(settings(UNIT))
    assert (said["StartLimitIntervalSec"], said["Restart"]) == ("0", "always")
    assert said["ConditionPathExistsGlob"] == "/dev/dri/card*"
    assert "WantedBy" not in said  # only the card's own event starts it
    rules = (OVERLAY / "usr/lib/udev/rules.d/61-recorder-kiosk.rules").read_text()
    assert f'ENV{{SYSTEMD_WANTS}}+="{UNIT}"' in rules and 'SUBSYSTEM=="drm"' in rules


def test_no_address_but_this_machines_own_is_open_in_the_browser() -> None:
    policy = json.loads(POLICY.read_text())
    assert set(policy["URLBlocklist"]) >= {"*", "chrome://*", "devtools://*"}
    assert all(
        re.fullmatch(r"http://(127\.0\.0\.1|localhost|\[::1\])|about:blank", url)
        for url in policy["URLAllowlist"]
    )
    assert policy["DownloadRestrictions"] == 3 and policy["AllowFileSelectionDialogs"] is False


@pytest.mark.parametrize(
    ("listen", "page"),
    [
        ("", ""),
        ("web: {listen: '127.0.0.1:9000'}", "http://127.0.0.1:9000/kiosk"),
        ("web: {listen: '[::1]:9000'}", "http://[::1]:9000/kiosk"),
        ("web: {listen: nonsense}", ""),  # as the agent, it goes by the defaults
    ],
)
def test_the_screen_shows_the_address_that_the_configuration_names(
    tmp_path: Path, listen: str, page: str
) -> None:
    """Where it is not the one that the unit knows by itself."""
    house, again = House(tmp_path), ["systemctl", "--no-block", "try-restart", UNIT]
    house.lay("station.yaml", listen)
    for _ in range(2):  # the second time it is the same still
        house.boot()
        assert house.paths.kiosk.exists() == bool(page)
        assert house.system.ran.count(again) == int(bool(page))
    if page:
        assert house.paths.kiosk.read_text() == f"KIOSK_PAGE={page}\n"
        house.lay("station.yaml", "")
        house.boot()
        assert not house.paths.kiosk.exists()
        assert house.system.ran.count(again) == 2


def test_the_unit_reads_what_the_boot_step_writes() -> None:
    said = settings(UNIT)
    assert ("EnvironmentFile", "-/run/recorder-station-boot/kiosk") in said
    assert ("Environment", f"KIOSK_PAGE=http://{Config().web.listen}/kiosk") in said
    assert (SYSTEMD / UNIT).read_text().count("[Install]") == 0
