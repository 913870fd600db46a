"""Who is trusted on the way to the centre is what the configuration says, and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.errors import AuthFailed, Transient
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.sign import Credentials
from agent.upload.targets.s3.target import S3Target
from tests.here import require
from tests.servers.pki import Pki
from tests.servers.weed import STATION, Weed
from tests.uploading import Bytes, clip_of, content, send_all


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    require("openssl")
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Weed]:
    with Weed(tmp_path_factory.mktemp("weed-tls"), pki) as running:
        yield running


def target(server: Weed, line: Line, heard: Callable[[str], object] = lambda date: None) -> S3Target:
    keys = Credentials(STATION.access, STATION.secret)
    bucket = Bucket(Wire(line, heard=heard), server.tls_url, "clips", lambda: keys)
    return S3Target("centre", "s3", bucket, first_contact=True)


def ours(pki: Pki) -> tuple[Path, Path]:
    return pki.client.certificate, pki.client.key


def test_a_clip_goes_to_a_server_of_our_authority_that_asks_for_our_certificate(
    server: Weed, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says of authorities and proxies."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    made = target(server, Line(pki.authority.certificate, ours(pki)))
    made.place()
    data = content(100_000)
    clip = clip_of(data, part_size=1 << 20)
    token = send_all(made, clip, made.begin(clip), Bytes(data))
    made.finish(clip, token)
    assert made.verify(clip, token).sha256 == clip.manifest.sha256


def test_a_clock_that_nobody_keeps_is_believed_by_the_word_of_the_centre_that_proved_who_it_is(
    server: Weed, pki: Pki
) -> None:
    clock = Clock(lambda: False)
    keys = Credentials(STATION.access, STATION.secret)
    plain = Bucket(Wire(Line(), heard=clock.heard), server.url, "clips", lambda: keys)
    S3Target("centre", "s3", plain, first_contact=True).place()
    assert not clock.trusted()
    target(server, Line(pki.authority.certificate, ours(pki)), clock.heard).place()
    assert clock.trusted()


def test_a_server_of_another_authority_is_refused(
    server: Weed, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, clock = Pki(tmp_path / "other"), Clock(lambda: False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pki.authority.certificate))
    for authority in (other.authority.certificate, None):
        with pytest.raises(AuthFailed) as raised:
            target(server, Line(authority, ours(pki)), clock.heard).place()
        assert raised.value.key == "target-certificate"
    assert not clock.trusted()


def test_a_station_without_a_certificate_is_told_so_or_cut_off(server: Weed, pki: Pki) -> None:
    """TLS 1.3 tells late, and a server may close at once: then it looks like a broken line."""
    with pytest.raises((AuthFailed, Transient)):
        target(server, Line(pki.authority.certificate)).place()


@pytest.mark.parametrize("which", ["authority", "certificate", "key"])
def test_a_file_that_is_missing_or_none_is_named(server: Weed, pki: Pki, tmp_path: Path, which: str) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    for bad in (tmp_path / "nowhere.pem", rubbish):
        authority = bad if which == "authority" else pki.authority.certificate
        certificate = bad if which == "certificate" else pki.client.certificate
        key = bad if which == "key" else pki.client.key
        with pytest.raises(AuthFailed) as raised:
            target(server, Line(authority, (certificate, key))).place()
        assert raised.value.key == "target-certificate"
