"""What the agent and its root helper say to each other: one JSON object a line, one answer to each.

    {"verb": "mount", "port": "pci-0000:00:14.0-usb-0:3.2", "lun": 0, "partition": 1, "diskseq": 42}
    {"ok": {"path": "/run/recorder-station-mounts/sdb1-42-1", "empty": []}}
    {"errno": 16, "error": "this machine uses the disk itself"}

A request is taken only as a whole: every key of its verb, no other, each of its type and within its bounds.
Paths on a recorder are text as `os.fsdecode` makes it: bytes that are no UTF-8 travel as lone surrogates.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.privileged.beneath import is_path
from agent.privileged.erase import Doomed

LONGEST = 1 << 20  # bytes of a message, its line feed included
MOST_FILES = 4096  # in one `erase`

_PORT = re.compile(r"[!-~]{1,255}")
_MOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBER = 1 << 63


class Refused(Exception):
    """The request is none that is answered; says why."""


class Request(NamedTuple):
    verb: str
    values: Mapping[str, Any]


def parse(line: bytes) -> Request:
    """Raises Refused, and nothing else."""
    if len(line) > LONGEST:
        raise Refused("the request is too long")
    try:
        said = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Refused("the request is no JSON") from None
    if not isinstance(said, dict):
        raise Refused("the request is no object")
    verb = said.pop("verb", None)
    shape = VERBS.get(verb) if isinstance(verb, str) else None
    if shape is None:
        raise Refused("there is no such verb")
    if said.keys() != shape.keys():
        raise Refused(f"`{verb}` takes exactly {', '.join(shape) or 'nothing'}")
    return Request(verb, {name: shape[name](name, said[name]) for name in shape})


def encode(message: Mapping[str, Any]) -> bytes:
    """ASCII alone, so that no byte of a name can end the line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def read(answer: bytes) -> dict[str, Any]:
    """The helper's answer. ValueError: it is cut off."""
    if not answer.endswith(b"\n"):
        raise ValueError("the answer is cut off")
    said: dict[str, Any] = json.loads(answer)
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("a key stands twice")
    return found


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or not least <= value <= most:  # a bool is an int too
            raise Refused(f"`{name}` is no whole number within its bounds")
        return value

    return check


def _like(pattern: re.Pattern[str]) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise Refused(f"`{name}` is not well-formed")
        return value

    return check


def _path(name: str, value: Any) -> str:
    if not isinstance(value, str) or not is_path(value):
        raise Refused(f"`{name}` is no path below a recorder")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Refused(f"`{name}` stands for no bytes") from None
    return value


_FILE: Mapping[str, Callable[[str, Any], Any]] = {
    "path": _path,
    "size": _whole(0, _NUMBER - 1),
    "mtime_ns": _whole(-_NUMBER, _NUMBER - 1),
}


def _files(name: str, value: Any) -> list[Doomed]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_FILES:
        raise Refused(f"`{name}` is no list of 1 to {MOST_FILES}")
    for each in value:
        if not isinstance(each, dict) or each.keys() != _FILE.keys():
            raise Refused(f"each of `{name}` has exactly {', '.join(_FILE)}")
    found = [Doomed(**{key: check(key, each[key]) for key, check in _FILE.items()}) for each in value]
    if len({os.fsencode(file.path) for file in found}) != len(found):
        raise Refused(f"`{name}` names a file twice")
    return found


_PLACE = {"port": _like(_PORT)}
VERBS: Mapping[str, Mapping[str, Callable[[str, Any], Any]]] = {
    "mount": {
        **_PLACE,
        "lun": _whole(0, 1 << 16),
        "partition": _whole(0, 1 << 16),
        "diskseq": _whole(0, _NUMBER - 1),
    },
    "unmount": {"mount": _like(_MOUNT)},
    "mounted": {},
    "erase": {"mount": _like(_MOUNT), "files": _files},
    "disconnect": _PLACE,
    "authorise": _PLACE,
}
