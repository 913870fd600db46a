"""A whole station and its bucket: what a client of other make finds there, and what stands in the way."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent_process import IMPATIENT, Agent
from tests.crash.rack import clip_files, contents, digest, mixed_load
from tests.here import require
from tests.servers.faults import Reply, Rule
from tests.servers.pki import Pki
from tests.servers.proxy import FaultProxy
from tests.servers.rclone import Rclone
from tests.servers.weed import ADMIN, PLAIN, STATION, Identity, Weed

AN_HOUR_LATE = """
import time, types
from agent.upload.targets.s3 import sign
late = lambda now=None: time.gmtime(time.time() - 3600)
sign.time = types.SimpleNamespace(strftime=time.strftime, gmtime=late)
"""


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with Weed(tmp_path_factory.mktemp("weed-bucket")) as running:
        yield running


@pytest.fixture
def proxy(weed: Weed) -> Iterator[FaultProxy]:
    with FaultProxy(weed.ports[0]) as made:
        yield made


@pytest.fixture
def agent(tmp_path: Path, weed: Weed, proxy: FaultProxy) -> Iterator[Agent]:
    with Agent(tmp_path, IMPATIENT) as made:
        sends_to(made, proxy.url)
        yield made


def keys(agent: Agent, identity: Identity = STATION, mode: int = 0o600) -> None:
    file = agent.config_file.with_name("keys")
    file.touch()
    file.chmod(mode)
    file.write_text(
        f"[default]\naws_access_key_id={identity.access}\naws_secret_access_key={identity.secret}\n"
    )


def sends_to(agent: Agent, url: str, bucket: str = PLAIN, **more: object) -> None:
    keys(agent)
    target = {
        "kind": "s3",
        "url": url,
        "bucket": bucket,
        "credentials": str(agent.config_file.parent / "keys"),
    }
    agent.config["targets"] = {
        "centre": target | ({"plaintext": True} if url.startswith("http:") else {}) | more
    }
    agent.write_config()


def recorder(agent: Agent, number: str) -> Counter[str]:
    """Docked; what must arrive of it."""
    agent.recorder(number)
    holds = contents(agent.shelf / number).clips()
    agent.dock(number)
    return holds


def at_centre(weed: Weed, number: str, identity: Identity = STATION) -> Counter[str]:
    """The digests of its clips, as rclone reads them back."""
    found = Rclone(weed.url, identity).digests(f"{PLAIN}/clips/{number}")
    return Counter(digest for name, digest in found.items() if not name.endswith(".json"))


@pytest.mark.parametrize("identity", [STATION, ADMIN], ids=lambda who: who.access)
def test_a_client_of_other_make_lists_and_reads_back_what_the_station_stored(
    agent: Agent, weed: Weed, tmp_path: Path, identity: Identity
) -> None:
    require("rclone")
    number = "0000101" if identity is STATION else "0000102"
    path = agent.shelf / number
    mixed_load(path, number, seed=7)
    shutil.copyfile(next(clip_files(path)), path / "DCIM" / "现场 录像 & 100%.mp4")
    (path / "DCIM" / "现场 录像 & 100%.mp4").open("ab").write(number.encode())
    (path / "DCIM" / "large.mp4").write_bytes(bytes(17 << 20) + number.encode())
    holds = contents(path).clips()
    agent.dock(number)
    agent.up()
    agent.until_confirmed(holds.total())
    rclone, folder, back = Rclone(weed.url, identity), f"{PLAIN}/clips/{number}", tmp_path / "back"
    assert at_centre(weed, number, identity) == holds
    names = rclone.run("lsf", "-R", "--files-only", f"centre:{folder}").splitlines()
    clips = {name for name in names if not name.endswith(".json")}
    assert sorted(names) == sorted([*clips, *(f"{name}.json" for name in clips)])
    rclone.copy(folder, back)
    rclone.run("check", "--download", f"centre:{folder}", str(back))
    for clip in clips:
        beside = json.loads((back / f"{clip}.json").read_bytes())
        assert (beside["sha256"], beside["size"]) == (digest(back / clip), (back / clip).stat().st_size)
    assert rclone.begun(PLAIN) == []


def test_a_byte_that_is_not_equal_is_seen_by_that_client(weed: Weed, tmp_path: Path) -> None:
    require("rclone")
    rclone = Rclone(weed.url, ADMIN)
    (tmp_path / "a.mp4").write_bytes(b"clip")
    rclone.run("copy", str(tmp_path / "a.mp4"), f"centre:{PLAIN}/other")
    (tmp_path / "a.mp4").write_bytes(b"cliq")
    with pytest.raises(subprocess.CalledProcessError):
        rclone.run("check", "--download", f"centre:{PLAIN}/other", str(tmp_path), "--include", "*.mp4")


Change = Callable[[Agent, FaultProxy], None]


def other_secret(agent: Agent, _: FaultProxy) -> None:
    keys(agent, Identity(STATION.access, "wrong-and-not-to-be-shown"))


def open_to_all(agent: Agent, _: FaultProxy) -> None:
    keys(agent, mode=0o644)


def other_bucket(agent: Agent, proxy: FaultProxy) -> None:
    sends_to(agent, proxy.url, "not-there")
    keys(agent, ADMIN)


def other_time(agent: Agent, _: FaultProxy) -> None:
    agent.patch = IMPATIENT + AN_HOUR_LATE


def mended(agent: Agent, proxy: FaultProxy) -> None:
    sends_to(agent, proxy.url)
    if agent.patch != IMPATIENT:
        agent.stop()
        agent.patch = IMPATIENT
        agent.up()


@pytest.mark.parametrize(
    ("change", "key", "number"),
    [
        (other_secret, "target-auth", "0000201"),
        (open_to_all, "credentials-open", "0000202"),
        (other_bucket, "target-no-bucket", "0000203"),
        (other_time, "target-clock", "0000204"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_keeps_the_station_from_its_bucket_is_told_and_once_mended_all_is_sent(
    agent: Agent, weed: Weed, proxy: FaultProxy, change: Change, key: str, number: str
) -> None:
    require("rclone")
    change(agent, proxy)
    agent.up()
    holds = recorder(agent, number)
    agent.until_slot(number, "collected")
    assert agent.until_issue(key)["target"] == "centre"
    assert proxy.count("PUT") == 0
    mended(agent, proxy)
    agent.until_confirmed(6)
    agent.until(lambda status: key not in {issue["key"] for issue in status["health"]})
    assert at_centre(weed, number) == holds
    for secret in ("not-to-be-shown", STATION.secret, ADMIN.secret):
        assert secret not in agent.log.read_text()


def test_a_server_whose_certificate_has_expired_gets_nothing_until_it_has_another(tmp_path: Path) -> None:
    require("openssl", "rclone")
    pki = Pki(tmp_path / "pki")
    good = pki.server.certificate.read_bytes()
    pki.expire()
    (tmp_path / "weed").mkdir()
    with Weed(tmp_path / "weed", pki) as server, Agent(tmp_path, IMPATIENT) as agent:
        ours = {"certificate": str(pki.client.certificate), "certificate_key": str(pki.client.key)}
        sends_to(agent, server.tls_url, ca=str(pki.authority.certificate), **ours)
        agent.up()
        holds = recorder(agent, "0000001")
        agent.until_slot("0000001", "collected")
        issue = agent.until_issue("target-certificate")
        assert "expired" in issue["error"]
        server.kill()
        pki.server.certificate.write_bytes(good)
        server.start()
        agent.until_confirmed(6)
        assert at_centre(server, "0000001") == holds


def collected_and_not_sent(agent: Agent, proxy: FaultProxy, number: str) -> tuple[Counter[str], str]:
    """What it holds, and the key of one of its clips."""
    proxy.add(Rule(Reply(503), times=1_000_000))
    agent.up()
    holds = recorder(agent, number)
    agent.until_slot(number, "collected")
    return holds, next(row["key"] for row in agent.clips() if "_0002" in row["path"])


def test_other_content_under_a_clips_name_stays_and_is_told(
    agent: Agent, weed: Weed, proxy: FaultProxy, tmp_path: Path
) -> None:
    require("rclone")
    holds, key = collected_and_not_sent(agent, proxy, "0000301")
    (tmp_path / "other").write_bytes(b"something else")
    Rclone(weed.url, ADMIN).run("copyto", str(tmp_path / "other"), f"centre:{PLAIN}/clips/{key}")
    proxy.clear()
    agent.until(lambda status: status["clips"]["confirmed"] == 5 and status["clips"]["rejected"] == 1)
    assert agent.until_issue("clips-rejected")["count"] == 1
    there = at_centre(weed, "0000301")
    assert there.total() == 6
    assert (there - holds).keys() == {digest(tmp_path / "other")}


def test_a_clip_that_changed_on_the_stations_disk_is_not_sent_and_is_collected_again(
    agent: Agent, weed: Weed, proxy: FaultProxy
) -> None:
    require("rclone")
    holds, key = collected_and_not_sent(agent, proxy, "0000302")
    with (agent.store / "clips" / key).open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 1]))
    proxy.clear()
    agent.until(lambda status: status["clips"]["confirmed"] == 5 and status["clips"]["quarantined"] == 1)
    agent.until_issue("clips-quarantined")
    there = at_centre(weed, "0000302")
    assert there.total() == 5
    assert there <= holds
    agent.pull("0000302")
    agent.until_slot("0000302", "empty")
    agent.dock("0000302")
    agent.until_confirmed(6)
    assert at_centre(weed, "0000302") == holds
