"""Each station has a key of its own, made once, and the certificate that fits it."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli import app, certificate
from agent.errors import Stop
from agent.image import identity
from agent.image.openssl import OpenSsl
from tests.image_house import House

NOW = datetime.now(UTC) + timedelta(hours=1)  # behind what the tests sign


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "root")
    made.lay("station.yaml", "")
    return made


@pytest.fixture
def ssl(house: House) -> OpenSsl:
    return OpenSsl(house.system)


class Authority:
    """An agency's CA with one between the root and the stations."""

    def __init__(self, folder: Path, ssl: OpenSsl) -> None:
        self.folder, self.ssl = folder, ssl
        folder.mkdir()
        for name in ("root", "between"):
            (folder / f"{name}.key").write_bytes(ssl.new_key())
        as_ca = ("-addext", "basicConstraints=critical,CA:true")
        key = str(folder / "root.key")
        self.root = ssl._run("req", "-x509", "-key", key, "-subj", "/CN=root", *as_ca).decode()
        (folder / "root.crt").write_text(self.root)
        self.between = self.sign(ssl.request(folder / "between.key", ["between"]), "root", "CA:true").decode()
        (folder / "between.crt").write_text(self.between)

    def sign(self, request: bytes, by: str = "between", ca: str = "CA:false", days: int = 30) -> bytes:
        more = self.folder / "extensions"
        more.write_text(f"basicConstraints=critical,{ca}\n")
        signer = ["-CA", str(self.folder / f"{by}.crt"), "-CAkey", str(self.folder / f"{by}.key")]
        asked = ["-req", *signer, "-days", str(days), "-extfile", str(more), "-set_serial", "7"]
        return self.ssl._run("x509", *asked, given=request)


@pytest.fixture
def authority(tmp_path: Path, ssl: OpenSsl) -> Authority:
    return Authority(tmp_path / "ca", ssl)


def install(house: House, given: bytes, now: datetime = NOW) -> dict[str, object]:
    return identity.install(house.paths.identity, house.system, given, house.paths.ca, now)


def test_the_first_boot_makes_a_key_that_only_root_and_the_agent_can_read(house: House, ssl: OpenSsl) -> None:
    assert house.boot() == []
    key, certificate = (house.paths.identity / name for name in ("station.key", "station.crt"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o640
    assert b"ED25519" in ssl._run("pkey", "-in", str(key), "-noout", "-text").upper()
    assert ssl.public_of(certificate.read_text()) == ssl.public_of_key(key)
    assert ssl.subject(certificate.read_text()).endswith("station-01234567")


def test_two_copies_of_an_image_are_two_stations(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    house.boot()
    other.boot()
    keys = [(each.paths.identity / "station.key").read_bytes() for each in (house, other)]
    assert keys[0] != keys[1]


def test_an_identity_is_never_made_anew(house: House) -> None:
    house.boot()
    before = {file: file.read_bytes() for file in house.paths.identity.iterdir()}
    house.boot()
    assert {file: file.read_bytes() for file in house.paths.identity.iterdir()} == before
    # A cut between key and certificate: the key stays, the certificate comes.
    (house.paths.identity / "station.crt").unlink()
    assert house.boot() == []
    assert (house.paths.identity / "station.key").read_bytes() == before[house.paths.identity / "station.key"]


@pytest.mark.parametrize("name", ["station.key", "station.crt"])
def test_a_damaged_identity_is_told_and_kept(house: House, name: str) -> None:
    house.boot()
    (house.paths.identity / name).write_text("rotten")
    assert house.boot() == ["identity-damaged"]
    assert (house.paths.identity / name).read_text() == "rotten"


def test_a_lost_key_is_told_and_its_certificate_kept(house: House) -> None:
    house.boot()
    (house.paths.identity / "station.key").unlink()
    assert house.boot() == ["identity-key-lost"]
    assert (house.paths.identity / "station.crt.without-key").exists()
    assert house.boot() == []


def test_a_disk_of_another_machine_is_told(house: House) -> None:
    house.boot()
    (house.paths.identity / "machine-id").write_text("f" * 32 + "\n")
    assert house.boot() == ["identity-other-machine"]


def test_a_certificate_of_the_agency_takes_the_place_of_our_own(
    house: House, ssl: OpenSsl, authority: Authority
) -> None:
    house.lay("ca.pem", authority.root)
    house.boot()
    request = identity.request(house.paths.identity, house.system, ["north", "station-01234567"])
    assert b"DNS:north" in ssl._run("req", "-noout", "-text", given=request)
    signed = authority.sign(request)
    # In any order, with the root in it: it comes out as protocols send it.
    told = install(house, (authority.root + authority.between).encode() + signed)
    chain = ssl.certificates((house.paths.identity / "station.crt").read_bytes())
    assert [ssl.subject(one) for one in chain] == ["CN=north", "CN=between"]
    assert told["authority_known"] and not told["early"]
    assert told["until"] == ssl.validity(chain[0])[1].strftime("%Y-%m-%d")
    assert house.boot() == []
    before = ssl.certificates((house.paths.identity / "station.crt.before").read_bytes())[0]
    assert ssl.subject(before).endswith("station-01234567")


@pytest.mark.parametrize("form", ["DER", "P7B", "P7B DER"])
def test_a_certificate_is_understood_as_authorities_hand_it_out(
    house: House, ssl: OpenSsl, authority: Authority, tmp_path: Path, form: str
) -> None:
    house.boot()
    signed = authority.sign(identity.request(house.paths.identity, house.system, ["north"]))
    if form == "DER":
        given = ssl._run("x509", "-outform", "DER", given=signed)
    else:
        (tmp_path / "all.pem").write_bytes(signed + authority.between.encode())
        outform = ["-outform", "DER"] if form == "P7B DER" else []
        given = ssl._run("crl2pkcs7", "-nocrl", "-certfile", str(tmp_path / "all.pem"), *outform)
    assert not install(house, given)["authority_known"]


def test_a_certificate_that_does_not_fit_changes_nothing(
    house: House, ssl: OpenSsl, authority: Authority, tmp_path: Path
) -> None:
    house.boot()
    before = (house.paths.identity / "station.crt").read_bytes()
    request = identity.request(house.paths.identity, house.system, ["north"])
    other = Authority(tmp_path / "other", ssl)
    signed = authority.sign(request)
    for given, key in (
        (b"nonsense", "certificate-none"),
        (request, "certificate-none"),
        (authority.root.encode(), "certificate-other-key"),
        (signed + other.root.encode(), "certificate-no-chain"),
    ):
        assert refused(house, given) == key
    assert refused(house, signed, NOW + timedelta(days=31)) == "certificate-expired"
    house.lay("ca.pem", other.root)
    house.boot()
    assert refused(house, signed) == "certificate-other-authority"
    assert (house.paths.identity / "station.crt").read_bytes() == before


def refused(house: House, given: bytes, now: datetime = NOW) -> str:
    with pytest.raises(Stop) as caught:
        install(house, given, now)
    return caught.value.key


def test_elsewhere_there_is_no_key(house: House) -> None:
    with pytest.raises(Stop, match="identity-no-key"):
        identity.request(house.paths.identity, house.system, ["north"])


def test_the_commands_take_a_request_out_and_a_certificate_in(
    house: House, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "PATHS", house.paths)
    monkeypatch.setattr(certificate, "SYSTEM", house.system)
    house.lay("ca.pem", authority.root)
    house.boot()
    printed = run("request")
    assert printed.stdout.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert run("request", "--out", tmp_path / "a.csr").exit_code == 0
    signed = authority.sign((tmp_path / "a.csr").read_bytes()) + authority.between.encode()
    (tmp_path / "a.crt").write_bytes(signed)
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: 1000)
        assert "as root" in run("install", tmp_path / "a.crt").stderr
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    result = run("install", tmp_path / "a.crt")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Installed: CN=")
    assert "signed by CN=between" in result.stdout
    assert run("install", tmp_path / "none.crt").exit_code == 1
    assert run("request", "--out", tmp_path / "no" / "folder").exit_code == 1


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["certificate", *map(str, arguments), "--lang", "en"])
