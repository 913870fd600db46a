"""Who a recorder is, by vote.

Witnesses, the better one first: a file that names the recorder, the file names, the folders, the volume
label. Each has one vote; on a tie the better witness wins: the firmware writes a number into every name,
while labels and serial numbers are often those of a whole fleet. A USB serial number therefore only
confirms: alone it names nobody, since it may be the card reader's. Whoever disagrees makes a conflict,
which is for the custodian: it never stops a docking.
"""

import functools
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from agent.model import Device, Identity, printable
from drivers.profile import Rules

_SAFE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_TAKEN = re.compile(r"(unknown|none)-.*|.*\.x[0-9a-f]{16}", re.IGNORECASE)  # forms that only this file makes
_TO_UPPER = {small: small - 32 for small in range(ord("a"), ord("z") + 1)}
LONGEST = 64
_CLAIMS = 256  # different numbers that are counted: a card may name another one in each file


@dataclass(slots=True)
class Tally:
    """What the files of one listing say."""

    names: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    officers: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, folder: str, officer: str) -> None:
        """What one file says; "" is nothing."""
        for counted, text in ((self.names, name), (self.folders, folder), (self.officers, officer)):
            if text and (text in counted or len(counted) < _CLAIMS):
                counted[text] += 1


@functools.lru_cache(1024)
def safe_text(text: str) -> str:
    """`text` as it may be shown and stored. One object for all files that say the same."""
    return printable(text)[:LONGEST]


def safe_id(text: str, longest: int = LONGEST) -> str:
    """`text` where it may stand in paths and keys as it is; else a readable rest and a digest, so that
    different texts stay different."""
    if len(text) <= longest and _SAFE.fullmatch(text) and not _TAKEN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    rest = re.sub(r"[^A-Za-z0-9_]+", "_", text)[: longest - 18]
    return f"{rest}.x{digest}"


def file_system_id(device: Device, root: int) -> str:
    """Tells one card from another: the file system's id, or what else stays the same of it."""
    if device.fs_uuid.strip("0-"):
        return safe_id(device.fs_uuid, LONGEST - len("unknown-"))
    space = os.fstatvfs(root)
    traits = (
        device.fs_label,
        device.model,
        device.serial,
        space.f_blocks,
        space.f_frsize,
        os.fstat(root).st_ino,
    )
    return "none-" + hashlib.sha256(repr(traits).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def decide(device: Device, fs_id: str, tally: Tally, files: Iterable[str], rules: Rules) -> Identity:
    """`files`: the numbers that identity files name."""
    votes = list(_votes(device, tally, files, rules))
    named = {vote for _, vote in votes}
    if (serial := _number(device.serial, rules)) in named:
        votes.append(("serial", serial))
    officer = _most(tally.officers, rules)
    if not votes:
        return Identity(f"unknown-{fs_id}", assigned=False, fs_id=fs_id, officer=officer)
    # max() takes the first of equals: the votes stand in the order of their weight.
    counted = Counter(vote for _, vote in votes)
    recorder = max(counted, key=lambda vote: counted[vote])
    claims = named | _claims(tally.names, rules) | _claims(tally.folders, rules)
    return Identity(recorder, True, fs_id, officer, tuple(votes), conflict=len(claims) > 1)


def _votes(device: Device, tally: Tally, files: Iterable[str], rules: Rules) -> Iterator[tuple[str, str]]:
    for text in files:
        if number := _number(text, rules):
            yield "identity-file", number
    if number := _most(tally.names, rules):
        yield "names", number
    if number := _most(tally.folders, rules):
        yield "folders", number
    label = device.fs_label.strip()
    if any(pattern.fullmatch(label) for pattern in rules.labels) and (number := _number(label, rules)):
        yield "label", number


def _number(text: str, rules: Rules) -> str:
    """The one spelling of a recorder's or officer's number; "" when it stands for nobody."""
    spelt = text.strip().translate(_TO_UPPER)
    return "" if not spelt or spelt in rules.placeholders else safe_id(spelt)


def _claims(counted: Counter[str], rules: Rules) -> set[str]:
    return {number for text in counted if (number := _number(text, rules))}


def _most(counted: Counter[str], rules: Rules) -> str:
    """What most files say; of equals the first in the alphabet, so that it is the same at every docking."""
    numbers: Counter[str] = Counter()
    for text, files in counted.items():
        if number := _number(text, rules):
            numbers[number] += files
    return min(numbers, key=lambda number: (-numbers[number], number), default="")
