"""Makes the targets that the configuration names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent import booted
from agent.config.schema import FolderTarget as FolderConfig
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget

#: (name, address) -> whether this station has been in touch with that target there before
Known = Callable[[str, str], bool]


def build(targets: Mapping[str, FolderConfig], known_at: Known, store: Path) -> dict[str, Target]:
    """`store`: where this station keeps its own clips; no share lies on the same file system."""
    return {name: _target(name, config, known_at, store) for name, config in targets.items()}


def _target(name: str, config: FolderConfig, known_at: Known, store: Path) -> Target:
    match config:
        case FolderConfig():
            return FolderTarget(
                name,
                config.path,
                first_contact=not known_at(name, str(config.path)),
                never_on=() if config.local else (Path("/"), store, *booted.not_central()),
            )
