"""What a target may be able to do besides keeping clips: tell which clips of a recorder lie there.

A capability of its own, since not every server of clips can be asked for lists. All stations lay clips below
`clips/<recorder>/<day>/`, so this tells what other stations collected of it, too.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from agent.upload.targets import keys
from agent.upload.targets.base import Check, Target, go_on


@runtime_checkable
class Collected(Target, Protocol):
    def collected(self, recorder: str, since: str = "", check: Check = go_on) -> Iterator[str]:
        """Keys of the clips in the folder `recorder` of the days from `since` on (and of those without a
        day), in no order, one after the other as they are read. What lies there and is no clip is passed
        over; clips that end in `.json` are, too, since their names do not tell them from manifests. Errors
        are those of a Target, and whatever `check` raises; Rejected `target-name` when `recorder` is no plain
        name."""
        ...


def folder(recorder: str) -> str:
    """Raises Rejected `target-name`."""
    [name] = keys.components(recorder.replace("/", "\0"), "")
    return name


def is_clip(key: str) -> bool:
    """Of what lies below a recorder's folder, by its name alone."""
    return key.count("/") == 2 and not key.endswith((keys.MANIFEST, "/"))
