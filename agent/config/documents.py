"""One YAML file as plain data, with the line of every key and every fault of its form.

Stricter than YAML 1.1: no anchors and aliases (a few lines of them expand to gigabytes), no tags, no
duplicate keys, keys are always text, and numbers that YAML reads otherwise than people do are refused.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.model import printable

LARGEST_FILE = 1 << 20  # bytes
_DEEPEST = 20  # the schema needs five; the parser recurses per level

_PREFIX = "tag:yaml.org,2002:"
_BOOLS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}", re.ASCII)
_READ_AS = {"int": "another number", "float": "another number", "timestamp": "a date"}
_HINTS = {
    r"'\t'": "indent with spaces, not with tabs",
    "mapping values are not allowed": "put a value with `: ` in it in quotes, or mend the indentation",
    "found another document": "one file is one document: remove the `---` between them",
    "'@'": "put the value in quotes",
    "'`'": "put the value in quotes",
    "'%'": "put the value in quotes",
}

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a key stands. `text` is its plain value as written where YAML does not read it as text."""

    file: Path
    line: int
    text: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.message}")


@dataclass(slots=True)
class Document:
    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[Place, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, line: int, message: str) -> None:
        self.faults.append(Fault(self.file, line, message))


def read(file: Path) -> Document:
    """Raises FileNotFoundError when there is no such file; every other trouble is a fault in it."""
    document = Document(file)
    try:
        text = content(file).decode("utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        document.fault(line, "is not UTF-8 text: save the file as UTF-8")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.fault(line, f"has the control character {ord(text[error.position]):#04x}: remove it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.fault(mark.line + 1 if mark else 1, _problem(error))
    except (OSError, ValueError, OverflowError) as error:
        document.fault(1, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    else:
        _fill(document, node)
    return document


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge deeply, the rest replaces; an empty section says nothing."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        elif not (isinstance(below, dict) and value is None):
            merged[key] = value
    return merged


def content(file: Path) -> bytes:
    """All of it. Raises OSError, and ValueError for what is no file or too large."""
    # O_NONBLOCK: a FIFO in the folder must not hang the agent.
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is not a file")
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError("it is larger than 1 MiB")
    return data


class _Loader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not accepted: write it out, or put text in quotes",
                problem_mark=event.start_mark,
            )
        if self.depth == _DEEPEST:
            raise yaml.MarkedYAMLError(problem="is nested too deeply", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _problem(error: yaml.MarkedYAMLError) -> str:
    text = "; ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for sign, hint in _HINTS.items() if sign in text), "")
    return text + (f" ({hint})" if hint else "")


def _fill(document: Document, node: yaml.Node | None) -> None:
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == f"{_PREFIX}null"):
        return
    if not isinstance(node, yaml.MappingNode):
        missing = " (is the space after a colon missing?)" if isinstance(node, yaml.ScalarNode) else ""
        document.fault(_line(node), f"should be `key: value` lines{missing}")
        return
    document.data = _mapping(document, node, ())


class _RefusedError(Exception):
    """A value whose fault is noted: its key is left out, so that it is not reported twice."""


def _value(document: Document, node: yaml.Node, place: Place) -> Any:
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
        return _mapping(document, node, place)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
        return [_value(document, item, (*place, number)) for number, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(document, node)
    document.fault(_line(node), f"the tag `{_short(node.tag)}` is not accepted: remove it")
    raise _RefusedError


def _mapping(document: Document, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key, str) or key == "" or key_node.tag == f"{_PREFIX}merge":
            document.fault(_line(key_node), "a key should be one plain word")
            continue
        here = (*place, key)
        if first := document.marks.get(here):
            document.fault(_line(key_node), f"`{_short(key)}` stands here twice, first in line {first.line}")
        plain = isinstance(value_node, yaml.ScalarNode) and value_node.tag != f"{_PREFIX}str"
        document.marks[here] = Mark(document.file, _line(key_node), value_node.value if plain else None)
        try:
            value = _value(document, value_node, here)
        except _RefusedError:
            continue
        data = merge(data, {key: value})
    return data


def _scalar(document: Document, node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.removeprefix(_PREFIX), node.value
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in _BOOLS:
        return _BOOLS[text.lower()]
    if kind == "int" and _INT.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    if kind in _READ_AS:
        message = f"YAML reads `{_short(text)}` as {_READ_AS[kind]}: put it in quotes if it is text"
        message += "" if kind == "timestamp" else ", else write it as a plain decimal number"
    else:
        message = f"the tag `{_short(kind)}` is not accepted: remove it, or put the value in quotes"
    document.fault(_line(node), message)
    raise _RefusedError


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
