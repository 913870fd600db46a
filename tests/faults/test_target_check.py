"""`recorder-station target check` finds what a target cannot do before a clip depends on it."""

import json
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli import app
from agent.errors import AuthFailed, NotEqual
from agent.model import Receipt, StoredClip
from agent.upload.check import PART, check
from agent.upload.targets.base import Check, LocalReader, Target, go_on
from agent.upload.targets.folder import FolderTarget
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import ADMIN, LOCKED, STATION, Identity, Weed

STEPS = ["who", "clock", "small", "parts", "damage", "replace", "abort", "sweep", "tell"]


def found(make: Callable[[str], Target]) -> dict[str, str]:
    return {tried.step: tried.problem.key if tried.problem else "" for tried in check(make)}


def folder(tmp_path: Path, kind: type[FolderTarget] = FolderTarget) -> Callable[[str], Target]:
    (tmp_path / "share").mkdir()
    return lambda place: kind("centre", tmp_path / "share", first_contact=not place)


class TakesAnything(FolderTarget):
    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        return token


class StartsOver(FolderTarget):
    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        found = super().position(clip, token, check)
        return found if found == clip.manifest.size else 0


class Replaces(FolderTarget):
    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        (self.root / "clips" / clip.key).unlink(missing_ok=True)
        super().finish(clip, token, check)

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        return 0


class NeverReadsBack(FolderTarget):
    """Compares before it sends, keeps what arrives, and vouches for what it wanted to keep."""

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        if sha256(reader.pread(length, offset)).digest() != clip.manifest.parts[offset // PART]:
            raise NotEqual
        (self.root / "incoming").mkdir(exist_ok=True)
        with (self.root / "incoming" / f"{token}.part").open("ab") as partial:
            partial.write(reader.pread(length, offset))
        return token

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        there = (self.root / "clips" / clip.key).read_bytes()
        return Receipt("there", len(there), clip.manifest.sha256, 0.0)


class NeverReplaces(FolderTarget):
    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        return super().lay(path, data, replace=False, check=check)


class AlwaysReplaces(FolderTarget):
    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        return super().lay(path, data, replace=True, check=check)


class SaysYes(FolderTarget):
    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        return Receipt("there", clip.manifest.size, "0" * 64 if read_back else clip.manifest.sha256, 0.0)


class LivesInAnotherHour(FolderTarget):
    def now(self) -> float:
        return super().now() - 3600


class KeepsWhatWasGivenUp(FolderTarget):
    def abort(self, clip: StoredClip, token: str) -> None:
        pass


class CannotSweep(FolderTarget):
    def sweep(self, under_way: Collection[str], age: float) -> int:
        raise AuthFailed(error="AccessDenied")


def test_a_good_folder_can_do_everything(tmp_path: Path) -> None:
    assert found(folder(tmp_path)) == dict.fromkeys(STEPS, "")


@pytest.mark.parametrize(
    ("kind", "step", "key"),
    [
        (TakesAnything, "damage", "target-takes-damage"),
        (NeverReadsBack, "damage", "target-takes-damage"),
        (StartsOver, "parts", "target-does-not-resume"),
        (Replaces, "replace", "target-replaces"),
        (SaysYes, "small", "target-vouches-for-other"),
        (LivesInAnotherHour, "clock", "target-clock-differs"),
        (KeepsWhatWasGivenUp, "abort", "target-keeps-aborted"),
        (CannotSweep, "sweep", "target-auth"),
        (NeverReplaces, "tell", "target-forgets"),
        (AlwaysReplaces, "tell", "target-replaces"),
    ],
)
def test_what_a_target_cannot_do_is_found(
    tmp_path: Path, kind: type[FolderTarget], step: str, key: str
) -> None:
    assert found(folder(tmp_path, kind))[step] == key


def test_a_target_that_cannot_be_reached_is_told_at_once(tmp_path: Path) -> None:
    def make(place: str) -> Target:
        return FolderTarget("centre", tmp_path / "nowhere", first_contact=True)

    assert found(make) == {"who": "target-not-mounted"}


@pytest.fixture
def command(weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`target check` of a bucket, as somebody, with changes to the configuration."""

    def run(identity: Identity, *arguments: str, mode: int = 0o600, **changes: object) -> Result:
        keys = tmp_path / "keys"
        keys.write_text(
            f"[default]\naws_access_key_id={identity.access}\naws_secret_access_key={identity.secret}\n"
        )
        keys.chmod(mode)
        target = {
            "kind": "s3",
            "url": weed.url,
            "plaintext": True,
            "bucket": "clips",
            "credentials": str(keys),
        }
        config = {
            "station": {"language": "en"},
            "store": {"path": str(tmp_path / "store")},
            "targets": {"city": {k: v for k, v in {**target, **changes}.items() if v is not None}},
        }
        (tmp_path / "station.yaml").write_text(json.dumps(config))
        monkeypatch.setenv("RECORDER_STATION_CONFIG", str(tmp_path / "station.yaml"))
        return CliRunner().invoke(app, ["target", "check", *arguments])

    return run


def test_a_bucket_and_a_credential_of_a_station_can_do_everything(command: Callable[..., Result]) -> None:
    every = [*STEPS, "lock"]
    said = command(STATION, bucket=LOCKED)
    assert said.exit_code == 0, said.output
    assert said.output.count("ok: city: ") == len(every)
    steps = json.loads(command(STATION, "--json", bucket=LOCKED).output)["city"]
    assert [(step["step"], step["ok"]) for step in steps] == [(step, True) for step in every]


def test_a_bucket_without_locks_is_told_unless_that_is_meant(command: Callable[..., Result]) -> None:
    said = command(STATION, "--json")
    assert said.exit_code == 1
    problems = [step["problem"] for step in json.loads(said.output)["city"] if not step["ok"]]
    assert [problem["key"] for problem in problems] == ["target-no-lock"]
    assert command(STATION, lock="none").exit_code == 0


@pytest.mark.parametrize("server", ["weed", "tus_node", "tus_resumable"])
def test_a_server_that_speaks_tus_can_do_everything(
    command: Callable[..., Result], request: pytest.FixtureRequest, server: str
) -> None:
    running = request.getfixturevalue(server)
    url = f"{running.filer}/.tus/checked" if server == "weed" else running.url
    said = command(STATION, "--json", kind="tus", url=url, bucket=None, credentials=None)
    assert said.exit_code == 0, said.output
    # What a station tells about itself needs names that can be written to again.
    steps = [step for step in STEPS if server == "weed" or step != "tell"]
    assert [step["step"] for step in json.loads(said.output)["city"]] == steps


@pytest.mark.parametrize("where", ["filer", "url"])
def test_an_address_where_nobody_speaks_tus_is_named(
    command: Callable[..., Result], weed: Weed, where: str
) -> None:
    """The filer without `/.tus/`, and S3."""
    url = f"{getattr(weed, where)}/clips"
    said = command(STATION, "--json", kind="tus", url=url, bucket=None, credentials=None)
    assert said.exit_code == 1
    [step] = json.loads(said.output)["city"]
    assert step["step"] == "who"
    assert step["problem"]["key"] == "target-no-tus"


def test_the_doctor_makes_no_mark_on_a_server_that_lists_nothing(
    command: Callable[..., Result], tus_resumable: TusResumable
) -> None:
    command(STATION, kind="tus", url=tus_resumable.url, bucket=None, credentials=None)
    before = set(tus_resumable.uploads.iterdir())
    said = CliRunner().invoke(app, ["doctor", "--json"])
    found = [each["key"] for each in json.loads(said.output) if each["check"] == "targets"]
    assert found == ["target-answers"]
    assert set(tus_resumable.uploads.iterdir()) == before


@pytest.mark.parametrize(
    ("identity", "changes", "key"),
    [
        (Identity(STATION.access, "wrong"), {}, "target-auth"),
        (Identity("nobody", "at-all"), {}, "target-auth"),
        (STATION, {"bucket": "not-there"}, "target-auth"),
        (STATION, {"mode": 0o644}, "credentials-open"),
        (STATION, {"url": "http://127.0.0.1:1"}, "target-unreachable"),
        (STATION, {"ca": "/nowhere/ca.pem", "url": "https://127.0.0.1:1"}, "target-certificate"),
        (STATION, {"proxy": "http://127.0.0.1:1"}, "target-proxy"),
    ],
)
def test_what_stands_in_the_way_is_named(
    command: Callable[..., Result], identity: Identity, changes: dict[str, object], key: str
) -> None:
    said = command(identity, "--json", **changes)
    assert said.exit_code == 1
    [step] = json.loads(said.output)["city"]
    assert (step["step"], step["problem"]["key"]) == ("who", key)
    assert ADMIN.secret not in said.output and STATION.secret not in said.output


def test_a_target_that_is_not_configured_is_told(command: Callable[..., Result]) -> None:
    said = command(STATION, "centre")
    assert said.exit_code == 1
    assert "centre" in said.stderr
