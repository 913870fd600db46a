"""Keys and certificates by the `openssl` program: the agent runs on boards with 1 GiB, and a library for this
would stay in its memory for what is done once in years."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import Stop
from agent.image.system import System

#: A self-made certificate is renewed by nobody, and the clock of a first boot may say 1970.
_DAYS = 36_500
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII)


class OpenSsl:
    """Raises Stop `boot-program-failed`."""

    def __init__(self, system: System) -> None:
        self._system = system

    def new_key(self) -> bytes:
        return self._run("genpkey", "-algorithm", "ed25519")

    def public_of_key(self, key: Path) -> bytes:
        return self._run("pkey", "-in", str(key), "-pubout")

    def self_signed(self, key: Path, name: str) -> bytes:
        asked = ["-x509", "-days", str(_DAYS), *_subject([name])]
        return self._run("req", "-new", "-key", str(key), *asked)

    def request(self, key: Path, names: list[str]) -> bytes:
        return self._run("req", "-new", "-key", str(key), *_subject(names))

    def public_of(self, certificate: str) -> bytes:
        return self._run("x509", "-noout", "-pubkey", given=certificate.encode())

    def subject(self, certificate: str) -> str:
        return self._said(certificate, "-subject")

    def issuer(self, certificate: str) -> str:
        return self._said(certificate, "-issuer")

    def validity(self, certificate: str) -> tuple[datetime, datetime]:
        return _moment(self._said(certificate, "-startdate")), _moment(self._said(certificate, "-enddate"))

    def is_issued_by(self, certificate: str, issuer: str) -> bool:
        """Whether the signature on one fits the key of the other; dates are not looked at."""
        with _files(certificate, issuer) as (one, other):
            trust = ["-partial_chain", "-no_check_time", "-trusted", str(other)]
            try:
                self._run("verify", *trust, str(one))
            except Stop:
                return False
        return True

    def is_below(self, chain: list[str], authority: Path) -> bool:
        """Whether the chain leads to a certificate of `authority`."""
        with _files(chain[0], "\n".join(chain[1:])) as (leaf, between):
            trust = ["-partial_chain", "-no_check_time", "-CAfile", str(authority)]
            more = ["-untrusted", str(between)] if chain[1:] else []
            try:
                self._run("verify", *trust, *more, str(leaf))
            except Stop:
                return False
        return True

    def certificates(self, data: bytes) -> list[str]:
        """Of PEM, DER or PKCS #7, as an authority hands them out; [] when there is none."""
        readings: list[Callable[[], bytes]] = [
            lambda: data,
            lambda: self._run("x509", "-inform", "DER", given=data),
            lambda: self._run("pkcs7", "-print_certs", given=data),
            lambda: self._run("pkcs7", "-inform", "DER", "-print_certs", given=data),
        ]
        for reading in readings:
            try:
                found = _BLOCK.findall(reading().decode("ascii", "replace"))
            except Stop:
                continue
            if found:
                return found
        return []

    def _said(self, certificate: str, what: str) -> str:
        line = (
            self._run("x509", "-noout", "-nameopt", "RFC2253", what, given=certificate.encode())
            .decode()
            .strip()
        )
        return line.partition("=")[2].strip()

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        return self._system.run(["openssl", *arguments], given)


def _subject(names: list[str]) -> list[str]:
    listed = ",".join(f"DNS:{name}" for name in dict.fromkeys(names))
    return ["-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={listed}"]


def _moment(written: str) -> datetime:
    return datetime.strptime(written, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


@contextmanager
def _files(*contents: str) -> Iterator[list[Path]]:
    """Certificates are public: they may lie in a folder for temporary files."""
    with tempfile.TemporaryDirectory() as made:
        paths = [Path(made) / str(number) for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        yield paths
