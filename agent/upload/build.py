"""Makes the targets that the configuration names."""

from collections.abc import Callable, Mapping

from agent.config.schema import FolderTarget as FolderConfig
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget


def build(targets: Mapping[str, FolderConfig], ever_used: Callable[[str], bool]) -> dict[str, Target]:
    """`ever_used`: whether this station has delivered to the target of that name before."""
    return {name: _target(name, config, not ever_used(name)) for name, config in targets.items()}


def _target(name: str, config: FolderConfig, first_contact: bool) -> Target:
    match config:
        case FolderConfig():
            return FolderTarget(name, config.path, first_contact=first_contact)
