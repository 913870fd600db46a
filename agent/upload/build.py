"""Makes the targets that the configuration names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent import booted
from agent.config import targets as config
from agent.upload import credentials
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.lock import Mode
from agent.upload.targets.s3.target import S3Target

_LOCKS = {"governance": Mode.GOVERNANCE, "compliance": Mode.COMPLIANCE}
#: (name, address) -> whether this station has been in touch with that target there before
Known = Callable[[str, str], bool]


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
            return S3Target(name, address, _bucket(target), first_contact=first, lock=lock)


def _bucket(target: config.S3Target) -> Bucket:
    ours, key = target.certificate, target.certificate_key
    line = Line(target.ca, (ours, key) if ours and key else None, target.proxy or "")
    keys = credentials.of(target.credentials)
    return Bucket(Wire(line), target.url, target.bucket, keys, target.region)
