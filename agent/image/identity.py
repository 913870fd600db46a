"""The key and certificate by which this station is known. Made on the data disk at the first boot, never part
of an image, never made anew while there are some."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import durable
from agent.errors import Stop
from agent.image.files import content, folder, put
from agent.image.openssl import OpenSsl
from agent.image.paths import Paths
from agent.image.report import Report
from agent.image.system import System

KEY = "station.key"
CERTIFICATE = "station.crt"


def ensure(paths: Paths, system: System, report: Report, machine_id: str) -> None:
    at = paths.identity
    folder(system, at, mode=0o750, group=True)
    _compare(at / "machine-id", machine_id, report)
    ssl = OpenSsl(system)
    if not (at / KEY).exists():
        if (at / CERTIFICATE).exists():
            # The certificate alone is of no use, but it tells that a key was lost.
            durable.rename_noreplace(at / CERTIFICATE, at / f"{CERTIFICATE}.without-key")
            report.problem("identity-key-lost", file=f"{CERTIFICATE}.without-key")
        put(system, at / KEY, ssl.new_key(), mode=0o640, group=True)
    try:
        public = ssl.public_of_key(at / KEY)
    except Stop as error:
        raise Stop("identity-damaged", file=str(at / KEY)) from error
    if not (at / CERTIFICATE).exists():
        put(system, at / CERTIFICATE, ssl.self_signed(at / KEY, f"station-{machine_id[:8]}"))
        return
    chain = ssl.certificates(content(at / CERTIFICATE))
    if not chain or ssl.public_of(chain[0]) != public:
        raise Stop("identity-damaged", file=str(at / CERTIFICATE))


def _compare(file: Path, machine_id: str, report: Report) -> None:
    """The initramfs keeps this file and lays it over the one of the system. If they differ, this system goes
    by another name than its data disk."""
    try:
        kept = content(file).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return
    if kept != machine_id:
        report.problem("identity-other-machine", kept=kept[:8], now=machine_id[:8])


def request(identity: Path, system: System, names: list[str]) -> bytes:
    """A certificate signing request for the agency's authority, in PEM."""
    return OpenSsl(system).request(_key(identity), names)


def install(identity: Path, system: System, given: bytes, authority: Path, now: datetime) -> dict[str, Any]:
    """Let the certificate that the authority signed take the place of the one before, which is kept as
    `station.crt.before`. Returns what it says. Raises Stop when it is not ours, or no chain."""
    ssl = OpenSsl(system)
    key = _key(identity)
    found = ssl.certificates(given)
    if not found:
        raise Stop("certificate-none")
    public = ssl.public_of_key(key)
    leaf = next((one for one in found if ssl.public_of(one) == public), None)
    if leaf is None:
        raise Stop("certificate-other-key")
    chain = _ordered(ssl, leaf, [one for one in found if one != leaf])
    begins, ends = ssl.validity(leaf)
    if ends <= now:
        raise Stop("certificate-expired", until=_day(ends))
    known = authority.exists()
    if known and not ssl.is_below(chain, authority):
        raise Stop("certificate-other-authority", issuer=ssl.issuer(leaf), authority=str(authority))
    current = identity / CERTIFICATE
    if current.exists():
        put(system, identity / f"{CERTIFICATE}.before", content(current))
    put(system, current, ("\n".join(chain) + "\n").encode())
    return {
        "subject": ssl.subject(leaf),
        "issuer": ssl.issuer(leaf),
        "from": _day(begins),
        "until": _day(ends),
        "early": begins > now,
        "authority_known": known,
    }


def _ordered(ssl: OpenSsl, leaf: str, others: list[str]) -> list[str]:
    """The leaf, who signed it, who signed that: as every protocol sends them. A root is left out."""
    chain, left = [leaf], list(others)
    while left:
        above = next((one for one in left if ssl.is_issued_by(chain[-1], one)), None)
        if above is None:
            raise Stop("certificate-no-chain", subject=ssl.subject(left[0]))
        left.remove(above)
        chain.append(above)
    return [one for one in chain if one == leaf or ssl.subject(one) != ssl.issuer(one)]


def _key(identity: Path) -> Path:
    key = identity / KEY
    try:
        with key.open("rb"):
            return key
    except OSError as error:
        reason = error.strerror or str(error)
        raise Stop("identity-no-key", file=str(key), reason=reason) from error


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")
