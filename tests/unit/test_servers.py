"""Each real server that targets are tested with starts, keeps what it was given through a kill, and ends."""

import base64
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.here import require
from tests.servers.pki import Pki
from tests.servers.process import Server, ServerEnded, get
from tests.servers.tus_node import TusNode
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import Weed
from tests.uploading import content

DATA = content(100_000)
TUS = {"Tus-Resumable": "1.0.0"}


def call(method: str, url: str, data: bytes = b"", **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.request(method, url, data=data, headers={**TUS, **named}, timeout=30)


def upload(url: str, data: bytes) -> str:
    """By tus; where it was created."""
    name = base64.b64encode(b"a.mp4").decode()
    created = call("POST", url, Upload_Length=str(len(data)), Upload_Metadata=f"filename {name}")
    assert created.status_code == 201, created.text
    place = urljoin(url, created.headers["Location"])
    sent = call("PATCH", place, data, Upload_Offset="0", Content_Type="application/offset+octet-stream")
    assert sent.status_code == 204, sent.text
    return place


def ended(server: Server) -> bool:
    return not server.alive and not Path(f"/proc/{server.pid}").exists()


def test_weed_serves_s3_to_those_it_knows(weed: Weed) -> None:
    assert get(f"{weed.url}/healthz").status_code == 200
    refused = get(f"{weed.url}/clips?list-type=2")
    assert (refused.status_code, "<Code>AccessDenied<" in refused.text) == (403, True)
    assert "locked" in weed.shell("s3.bucket.list")
    assert "Enabled" in weed.shell("s3.bucket.lock -name locked")


def test_weed_keeps_an_object_that_came_by_tus(weed: Weed) -> None:
    upload(weed.tus("名/a b.mp4"), DATA)
    assert get(weed.object("名/a b.mp4")).content == DATA


def test_weed_lives_on_after_a_kill(tmp_path: Path) -> None:
    with Weed(tmp_path / "weed") as server:
        upload(server.tus("a.mp4"), DATA)
        server.kill()
        server.start()
        assert get(server.object("a.mp4")).content == DATA
        upload(server.tus("b.mp4"), DATA)
    assert ended(server)


def test_weed_asks_for_a_certificate(tmp_path: Path) -> None:
    require("openssl")
    pki = Pki(tmp_path / "pki")
    with Weed(tmp_path / "weed", pki) as server, requests.Session() as session:
        session.trust_env = False
        session.verify = str(pki.authority.certificate)
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.tls_url}/healthz", timeout=10)
        session.cert = str(pki.client.certificate), str(pki.client.key)
        assert session.get(f"{server.tls_url}/healthz", timeout=10).status_code == 200
    assert ended(server)


@pytest.mark.parametrize("name", ["tus_node", "tus_resumable"])
def test_a_tus_server_takes_an_upload(name: str, request: pytest.FixtureRequest) -> None:
    server: TusNode | TusResumable = request.getfixturevalue(name)
    place = upload(server.url, DATA)
    assert call("HEAD", place).headers["Upload-Offset"] == str(len(DATA))
    assert get(place).content == DATA


@pytest.mark.parametrize("kind", [TusNode, TusResumable])
def test_a_tus_server_lives_on_after_a_kill(kind: type[TusNode | TusResumable], tmp_path: Path) -> None:
    if kind is TusNode:
        require("node")
    with kind(tmp_path) as server:
        place = upload(server.url, DATA)
        server.kill()
        assert ended(server)
        server.start()
        assert get(place).content == DATA
    assert ended(server)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = TusResumable(tmp_path)
    server.uploads.write_text("in the way")
    with pytest.raises(ServerEnded, match=r"(?s)does not answer.*uploads"), server:
        pass
    assert ended(server)
