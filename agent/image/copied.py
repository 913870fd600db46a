"""Files of the boot partition that are passed on: configuration, roster, CA, SSH keys, shares."""

import base64
import binascii
import difflib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

from agent.errors import Stop
from agent.image.files import LARGEST, content, put, text
from agent.image.paths import Paths
from agent.image.report import Report
from agent.image.system import System

FLEET = "50-fleet.yaml"
_KNOWN = (
    "station.yaml",
    "roster.csv",
    "stations.csv",
    "fleet.url",
    "ca.pem",
    "authorized_keys",
    "shares.fstab",
)
_OTHERS = {
    "station.yml": "station.yaml",
    **{f"{name}.{ending}": f"{name}.csv" for name in ("roster", "stations") for ending in ("xlsx", "xls")},
}
_CLOSE = 0.8  # of difflib: `station.yaml.bak` and `authorized_key` are, `readme.txt` is not

_KEY_LINE = re.compile(
    r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+ +(?P<blob>[A-Za-z0-9+/]{20,}={0,3})(?: .*)?$", re.ASCII
)
_SHARE_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p"})
_ALWAYS = "nosuid,nodev,noexec"  # the last word counts
_SHARE_PLACE = re.compile(r"/(mnt|srv)(/[A-Za-z0-9._-]+)+", re.ASCII)


def look_for_wrong_names(boot: Path, report: Report) -> None:
    """Windows hides endings, so that `station.yaml.txt` looks right in its Explorer."""
    names = {entry.name.lower() for entry in boot.iterdir()}
    for name in sorted(names - set(_KNOWN)):
        if meant := _meant(name, names):
            report.problem("boot-wrong-name", file=name, meant=meant)


def _meant(name: str, names: set[str]) -> str:
    if name in _OTHERS:
        return _OTHERS[name]
    if name.endswith(".txt") and name.removesuffix(".txt") in _KNOWN:
        return name.removesuffix(".txt")
    absent = [known for known in _KNOWN if known not in names]
    close = difflib.get_close_matches(name, absent, n=1, cutoff=_CLOSE)
    begins = [known for known in absent if name.startswith(known)]
    return (begins or close or [""])[0]


def copy_config(paths: Paths, system: System, report: Report) -> None:
    """As it is, faults included: the agent tells them with their lines, and collects with defaults."""
    try:
        data = _as_it_is(paths.boot / "station.yaml")
    except FileNotFoundError:
        report.problem("boot-no-config")
        paths.station.unlink(missing_ok=True)
    else:
        put(system, paths.station, data, 0o640, group=True)
    copied = {FLEET}
    for file in _conf_d(paths.boot / "conf.d", report):
        with report.guard():
            put(system, paths.config / "conf.d" / file.name, _as_it_is(file), 0o640, group=True)
            copied.add(file.name)
    for file in (paths.config / "conf.d").iterdir():
        if file.name not in copied:
            file.unlink()


def copy_roster(paths: Paths, system: System) -> None:
    """Beside `station.yaml`, whose `roster: roster.csv` means it, and as it is: the agent tells its faults.
    Before the configuration, which an agent that runs reads when it changes."""
    try:
        data = _as_it_is(paths.boot / paths.roster.name)
    except FileNotFoundError:
        paths.roster.unlink(missing_ok=True)
    else:
        put(system, paths.roster, data, 0o640, group=True)


def _as_it_is(file: Path) -> bytes:
    """One byte more than the agent takes is enough for it to say that the file is too large."""
    try:
        return content(file)
    except Stop as error:
        if error.key != "boot-file-too-large":
            raise
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)


def _conf_d(folder: Path, report: Report) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir()):
        name = file.name.lower()
        if name.startswith("."):
            continue
        if name == FLEET:
            report.problem("boot-reserved-name", file=f"conf.d/{file.name}")
        elif name.endswith((".yaml", ".yml")):
            yield file
        elif ".yaml" in name or ".yml" in name:
            report.problem(
                "boot-wrong-name", file=f"conf.d/{file.name}", meant=f"{name.partition('.')[0]}.yaml"
            )


def copy_ca(paths: Paths, system: System, source: Path) -> None:
    """The certificates of the agency's CA. Raises FileNotFoundError, or Stop when there is none in it."""
    found = text(source)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError) as error:
        raise Stop("boot-bad-ca", file=source.name) from error
    put(system, paths.ca, found.encode("ascii", "replace"))


def copy_keys(paths: Paths, system: System, report: Report) -> None:
    """SSH runs while the copy exists, and only then."""
    good = []
    try:
        lines = text(paths.boot / "authorized_keys").splitlines()
    except (FileNotFoundError, Stop):
        paths.authorized_keys.unlink(missing_ok=True)
        if (paths.boot / "authorized_keys").exists():
            raise
        return
    if any("PRIVATE KEY" in line for line in lines):
        paths.authorized_keys.unlink(missing_ok=True)
        raise Stop("boot-private-key", file="authorized_keys")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _is_key(line.strip()):
            good.append(line.strip())
        else:
            report.problem("boot-bad-ssh-key", file="authorized_keys", line=number)
    if good:
        put(system, paths.authorized_keys, ("\n".join(good) + "\n").encode(), 0o600)
    else:
        paths.authorized_keys.unlink(missing_ok=True)


def _is_key(line: str) -> bool:
    """Without options: what could be said there has no use on a station. The kind stands in the key again."""
    found = _KEY_LINE.match(line)
    if not found:
        return False
    try:
        blob = base64.b64decode(found["blob"], validate=True)
    except binascii.Error:
        return False
    kind = line.split()[0].encode()
    return blob.startswith(len(kind).to_bytes(4, "big") + kind)


def copy_shares(paths: Paths, system: System, report: Report) -> None:
    """Mounts of central storage, for `mount -a -T`. A line that reaches into the station is left out."""
    good = []
    try:
        lines = text(paths.boot / "shares.fstab").splitlines()
    except (FileNotFoundError, Stop):
        paths.shares.unlink(missing_ok=True)
        if (paths.boot / "shares.fstab").exists():
            raise
        return
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.split()
        if fault := _share_fault(fields) or _no_place(paths.root / fields[1].lstrip("/")):
            report.problem("boot-bad-share", file="shares.fstab", line=number, fault=fault)
        else:
            good.append(" ".join([*fields[:3], f"{fields[3]},{_ALWAYS}", *fields[4:]]))
    if good:
        put(system, paths.shares, ("\n".join(good) + "\n").encode(), 0o600)
    else:
        paths.shares.unlink(missing_ok=True)


def _share_fault(fields: list[str]) -> str:
    """Does not repeat what stands there: in a line with a field too few, that is a password."""
    if not 4 <= len(fields) <= 6:
        return "should have four fields: source, mount point, kind, options"
    if fields[2] not in _SHARE_KINDS:
        return f"third field (kind): should be one of {', '.join(sorted(_SHARE_KINDS))}"
    if not _SHARE_PLACE.fullmatch(fields[1]) or ".." in fields[1].split("/"):
        return "second field (mount point): should lie below /mnt or /srv"
    if not all(number.isdecimal() for number in fields[4:]):
        return "the last two fields should be numbers"
    return ""


def _no_place(mount_point: Path) -> str:
    """The root of an image is read-only: `/mnt` and `/srv` are its places for this."""
    try:
        mount_point.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"mount point: {error.strerror}"
    return ""
