"""A file of labels: read whole, checked whole by the agent, and only then taken over."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.catalog import labels
from agent.errors import Reject
from agent.retention.arguments import NUMBER

_MOST_LINES = 100_000
_GROUP, _BYTES = 200, 40_000  # lines, and bytes of them, that the agent takes at once

#: Asks the agent for something; what it answers.
Ask = Callable[[Mapping[str, str]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Line:
    number: int  # in the file
    clip: int
    said: dict[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    number: int
    error: Reject


@dataclass(slots=True)
class Taken:
    """`up_to`: the last line that the agent answered for."""

    changed: int = 0
    up_to: int = 1
    faults: list[Fault] = field(default_factory=list)


def read(file: Path) -> tuple[list[Line], list[Fault]]:
    """Raises Reject `label-file` when the file as a whole cannot be understood."""
    found = list(_rows(file))
    lines = [one for one in found if isinstance(one, Line)]
    first, faults = dict[int, int](), [one for one in found if isinstance(one, Fault)]
    for line in lines:
        if first.setdefault(line.clip, line.number) != line.number:
            faults.append(Fault(line.number, Reject("label-twice", clip=line.clip, first=first[line.clip])))
    return [line for line in lines if line.said], faults


def check(lines: Sequence[Line], ask: Ask) -> list[Fault]:
    """What the agent would refuse; nothing is said."""
    return [
        fault for group, told in _groups(lines) for fault in _refused(group, ask({**told, "check": "yes"}))
    ]


def put(lines: Sequence[Line], ask: Ask, taken: Taken) -> None:
    """`taken` tells how far it came, also when `ask` raises."""
    for group, told in _groups(lines):
        answer = ask(told)
        taken.changed += answer["changed"]
        taken.up_to = group[-1].number
        taken.faults += _refused(group, answer)


def _refused(group: Sequence[Line], answer: Mapping[str, Any]) -> Iterator[Fault]:
    for one in answer["refused"]:
        yield Fault(group[one["line"]].number, Reject(one["key"], **one["params"]))


def _groups(lines: Sequence[Line]) -> Iterator[tuple[list[Line], dict[str, str]]]:
    group, size = list[Line](), 0
    for line in lines:
        bytes_ = len(json.dumps(json.dumps([line.clip, line.said])))  # as it will be on its way
        if group and (len(group) == _GROUP or size + bytes_ > _BYTES):
            yield group, _said(group)
            group, size = [], 0
        group.append(line)
        size += bytes_
    if group:
        yield group, _said(group)


def _said(group: Sequence[Line]) -> dict[str, str]:
    return {"lines": json.dumps([[line.clip, line.said] for line in group])}


def _rows(file: Path) -> Iterator[Line | Fault]:
    number = 1
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text, strict=True)
            _heading(file, rows.fieldnames or ())
            for row in rows:
                number = rows.line_num
                if number > _MOST_LINES:
                    raise _bad(file, number, f"more than {_MOST_LINES} lines")
                yield _line(number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _bad(file, number, str(error)) from error


def _heading(file: Path, names: Sequence[str]) -> None:
    known = ("clip", *labels.FIELDS)
    for name in names:
        if name not in known:
            raise _bad(file, 1, f"column {name}")
    if "clip" not in names or len(set(names)) < len(names):
        raise _bad(file, 1, ", ".join(known))


def _line(number: int, row: Mapping[Any, Any]) -> Line | Fault:
    clip = (row["clip"] or "").strip()
    if None in row or None in row.values():
        return Fault(number, Reject("label-cells"))
    if not NUMBER.fullmatch(clip):
        return Fault(number, Reject("label-no-clip", text=clip))
    return Line(
        number, int(clip), {name: row[name].strip() for name in labels.FIELDS if row.get(name, "").strip()}
    )


def _bad(file: Path, line: int, reason: str) -> Reject:
    return Reject("label-file", file=str(file), line=line, reason=reason)
