"""Makes the targets that the configuration names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent import booted, clock
from agent.config import targets as config
from agent.upload import credentials
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.lock import Mode
from agent.upload.targets.s3.sign import Credentials
from agent.upload.targets.s3.target import S3Target
from agent.upload.targets.tus import filer
from agent.upload.targets.tus.bare import BareTarget
from agent.upload.targets.tus.named import NamedTarget
from agent.upload.targets.tus.protocol import Server

_LOCKS = {"governance": Mode.GOVERNANCE, "compliance": Mode.COMPLIANCE}
#: (name, address) -> the place that this station has found there before; empty when it never was in touch
Known = Callable[[str, str], str]

Reach = tuple[Wire, str, str, Callable[[], Credentials], str]


def build(targets: Mapping[str, config.Target], known_at: Known, store: Path) -> dict[str, Target]:
    """`store`: where this station keeps its own clips; no share lies on the same file system."""
    return {name: _target(name, target, known_at, store) for name, target in targets.items()}


def _target(name: str, target: config.Target, known_at: Known, store: Path) -> Target:
    match target:
        case config.FolderTarget():
            return FolderTarget(
                name,
                target.path,
                first_contact=not known_at(name, str(target.path)),
                never_on=() if target.local else (Path("/"), store, *booted.not_central()),
            )
        case config.S3Target():
            address = f"{target.url}/{target.bucket}"
            first, lock = not known_at(name, address), _LOCKS.get(target.lock)
            return S3Target(name, address, Bucket(*reach(target)), first_contact=first, lock=lock)
        case config.TusTarget():
            server, known = Server(_wire(target), target.url), known_at(name, target.url)
            if filer.is_one(server.root):
                return NamedTarget(name, target.url, server, first_contact=not known)
            return BareTarget(name, target.url, server, known=known)


def reach(target: config.S3Target) -> Reach:
    """What a Bucket is made of."""
    return _wire(target), target.url, target.bucket, credentials.of(target.credentials), target.region


def _wire(target: config.S3Target | config.TusTarget) -> Wire:
    ours, key = target.certificate, target.certificate_key
    return Wire(Line(target.ca, (ours, key) if ours and key else None, target.proxy or ""), heard=clock.heard)
