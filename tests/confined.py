"""What a unit's file says of system calls, laid upon a process without systemd.

`python -m tests.confined UNIT COMMAND…` becomes COMMAND under the unit's SystemCallFilter=,
RestrictAddressFamilies=, RestrictSUIDSGID= and MemoryDenyWriteExecute=, by the same library and the same sets
as systemd itself.
"""

import ctypes
import ctypes.util
import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SYSTEMD = Path(__file__).parents[1] / "systemd"

_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_MISSING = 0x00050000 | errno.ENOSYS
_EQUAL, _MASKED_EQUAL = 4, 7
_WRITE, _EXECUTE = 2, 4  # PROT_…


def settings(unit: str) -> list[tuple[str, str]]:
    """Every `Key=value` of the unit's file, in its order."""
    text = (SYSTEMD / unit).read_text()
    return [(key, value) for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)]


def words(unit: str, key: str) -> Iterator[str]:
    """All of a list that may stand in several lines. A line that takes away marks each of its words by ~."""
    for name, value in settings(unit):
        if name == key:
            yield from (("~" if value.startswith("~") else "") + word for word in value.lstrip("~").split())


def system_calls(unit: str) -> set[str]:
    sets = _sets()

    def calls(word: str) -> set[str]:
        return set().union(*map(calls, sets[word])) if word.startswith("@") else {word}

    found = calls("@default")
    for word in words(unit, "SystemCallFilter"):
        found = found - calls(word[1:]) if word.startswith("~") else found | calls(word)
    return found


def _sets() -> dict[str, list[str]]:
    ran = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    name = ""
    for line in ran.stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            found[name] = []
        elif word and not word.startswith("#") and name:
            found[name].append(word)
    return found


class _Condition(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


class Filter:
    """One seccomp filter, upon this process and all that it becomes."""

    def __init__(self, otherwise: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(otherwise)))

    def add(self, action: int, call: str, *conditions: tuple[int, int, int, int]) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # not on this machine's processor
        array = (_Condition * len(conditions))(*(_Condition(*each) for each in conditions))
        added = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(conditions), array
        )
        assert added == 0, call

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0


def confine(unit: str) -> None:
    """For good."""
    families = [getattr(socket, name) for name in words(unit, "RestrictAddressFamilies")]
    calls = system_calls(unit)
    if ("MemoryDenyWriteExecute", "yes") in settings(unit):
        memory = Filter(_ALLOW)
        both = _WRITE | _EXECUTE
        memory.add(_REFUSE, "mmap", (2, _MASKED_EQUAL, both, both))
        memory.add(_REFUSE, "mprotect", (2, _MASKED_EQUAL, _EXECUTE, _EXECUTE))
        memory.load()
    if ("RestrictSUIDSGID", "yes") in settings(unit):
        # Its mode cannot be looked at by a filter, so systemd takes the whole call away.
        modes = Filter(_ALLOW)
        modes.add(_MISSING, "openat2")
        modes.load()
    allowed = Filter(_REFUSE)
    for call in calls - {"socket"}:
        allowed.add(_ALLOW, call)
    allowed.add(_ALLOW, "seccomp")  # what comes now; systemd does it in another order
    for family in families:
        allowed.add(_ALLOW, "socket", (0, _EQUAL, family, 0))
    allowed.load()


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
