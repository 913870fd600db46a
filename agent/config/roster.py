"""Whose recorder is whose, of which unit, from when to when: a CSV file that people keep in a spreadsheet.

Whole or nothing: any fault refuses the file, and all of them are told at once. Days are local ones.
"""

import csv
import difflib
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from agent.config.documents import Fault, content
from agent.config.retention import SOURCES
from agent.errors import ConfigError
from agent.model import printable

COLUMNS = ("recorder", "officer", "unit", "source", "from", "to")
_NEEDED = COLUMNS[:3]
_LONGEST = 64  # characters of a cell
_MOST_FAULTS = 50  # that are told; a file in which every line is wrong has one reason
_SPACES = " \t\u00a0\u3000"  # any other control character is a fault, at the ends as well
_DATE = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})", re.ASCII)  # spreadsheets write 2026/1/5
_TO_UPPER = {low: low - 32 for low in range(ord("a"), ord("z") + 1)}


def spelt(number: str) -> str:
    """The one spelling of a recorder's or officer's number, as recorders are told apart."""
    return number.strip(_SPACES).translate(_TO_UPPER)


@dataclass(frozen=True, slots=True)
class Line:
    recorder: str
    officer: str = ""  # "": nobody's own
    unit: str = ""
    source: str = SOURCES[0]
    first: date = date.min  # days on which it holds, both included
    last: date = date.max

    def holds(self, first: date, last: date) -> bool:
        """On any day between."""
        return self.first <= last and self.last >= first


@dataclass(frozen=True)
class Roster:
    """`sha256`: of the file, in hex; "" without one."""

    lines: tuple[Line, ...] = ()
    sha256: str = field(default="", compare=False)

    def of(self, recorder: str, day: date) -> Line | None:
        """The one line of it on that day."""
        return next((line for line in self._of.get(spelt(recorder), ()) if line.holds(day, day)), None)

    def officer(self, recorder: str, day: date) -> str:
        line = self.of(recorder, day)
        return line.officer if line else ""

    def unit(self, officer: str, recorder: str, day: date) -> str:
        """Of `officer` that day; where two lines of that officer differ, as the line of `recorder` says."""
        line = self.of(recorder, day)
        if line and spelt(line.officer) == spelt(officer):
            return line.unit
        lines = self._by.get(spelt(officer), ()) if officer else ()
        return next((line.unit for line in lines if line.holds(day, day)), "")

    @cached_property
    def units(self) -> Mapping[str, frozenset[str]]:
        """Officer, spelt → every unit on any day."""
        return {who: frozenset(line.unit for line in lines if line.unit) for who, lines in self._by.items()}

    @cached_property
    def sources(self) -> Mapping[str, frozenset[str]]:
        """Recorder → every kind of source on any day."""
        return {recorder: frozenset(line.source for line in lines) for recorder, lines in self._of.items()}

    def during(self, first: date, last: date) -> dict[str, Line]:
        """Recorder → its last line that holds on any day between."""
        lines = sorted((line for line in self.lines if line.holds(first, last)), key=lambda line: line.first)
        return {line.recorder: line for line in lines}

    @cached_property
    def _of(self) -> Mapping[str, list[Line]]:
        return _grouped((line.recorder, line) for line in self.lines)

    @cached_property
    def _by(self) -> Mapping[str, list[Line]]:
        return _grouped((spelt(line.officer), line) for line in self.lines if line.officer)


def read(file: Path | None) -> Roster:
    """Of no file: an empty one. Raises ConfigError with every fault."""
    if file is None:
        return Roster()
    try:
        data = content(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([str(Fault(file, 1, f"the roster cannot be read: {reason}"))]) from None
    return parse(data, file)


def parse(data: bytes, file: Path) -> Roster:
    """Raises ConfigError with every fault; `file` is only named in them."""
    sheet = _Sheet(file)
    lines = sheet.lines(data)
    if sheet.faults:
        found = [str(fault) for fault in sorted(sheet.faults)]
        more = [f"{file}:1: and {len(found) - _MOST_FAULTS} faults more"] if len(found) > _MOST_FAULTS else []
        raise ConfigError([*found[:_MOST_FAULTS], *more])
    return Roster(lines, hashlib.sha256(data).hexdigest())


class _Sheet:
    def __init__(self, file: Path) -> None:
        self.faults: list[Fault] = []
        self._file = file

    def lines(self, data: bytes) -> tuple[Line, ...]:
        rows = iter(self._rows(self._text(data)))
        head = next(rows, None)
        columns = self._columns(*head) if head else []
        if self.faults:
            return ()  # below wrong columns everything would be wrong
        if head is None:
            self._fault(1, f"is empty: its first line should be `{','.join(COLUMNS)}`")
        found = [(number, line) for number, cells in rows if (line := self._line(number, cells, columns))]
        if head and not found and not self.faults:
            self._fault(head[0], "names no recorder: to have no roster, take the key `roster` away")
        self._apart(found)
        return tuple(line for _, line in found)

    def _fault(self, line: int, message: str) -> None:
        self.faults.append(Fault(self._file, line, message))

    def _text(self, data: bytes) -> str:
        try:
            if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
                self._fault(1, "is a workbook of a spreadsheet: save it as `CSV UTF-8`")
            elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
                self._fault(1, "is UTF-16 text: save it as `CSV UTF-8`")
            else:
                return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            kind = "GBK text, not UTF-8" if _is_gbk(data) else "not UTF-8 text"
            self._fault(line, f"is {kind}: save the file as `CSV UTF-8`")
        return ""

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of every row that is not blank."""
        rows, before = csv.reader(io.StringIO(text, newline=""), strict=True), 0
        try:
            for row in rows:
                cells = [cell.strip(_SPACES) for cell in row]
                if any(cells):
                    yield before + 1, cells
                before = rows.line_num
        except csv.Error as error:
            self._fault(before + 1, f"is no CSV from here on ({error}): is a quotation mark not closed?")

    def _columns(self, number: int, cells: list[str]) -> list[str]:
        names = [cell.lower() for cell in cells]
        while names and not names[-1]:
            names.pop()  # spreadsheets end every line with the commas of columns that were used once
        if len(names) == 1 and re.search("[;\t]", names[0]):
            self._fault(number, "its columns are not separated by commas: save it as `CSV UTF-8`")
            return []
        for name in sorted(set(names) - {*COLUMNS}):
            near = difflib.get_close_matches(name[:_LONGEST], COLUMNS, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(COLUMNS)}"
            self._fault(number, f"the column `{name[:_LONGEST]}` is not known: {hint}")
        for name in COLUMNS:
            if names.count(name) > 1:
                self._fault(number, f"the column `{name}` stands here twice")
        if missing := [name for name in _NEEDED if name not in names]:
            self._fault(number, f"the column `{'`, `'.join(missing)}` is missing: it may be empty below")
        return names

    def _line(self, number: int, cells: list[str], columns: list[str]) -> Line | None:
        """None when there is a fault in it."""
        before = len(self.faults)
        extra, cells = cells[len(columns) :], cells[: len(columns)]
        if any(extra) or len(cells) < len(columns):
            self._fault(number, f"should have {len(columns)} cells: is a comma missing, or one too many?")
            return None
        said = dict(zip(columns, cells, strict=True))
        for name, cell in said.items():
            self._cell(number, name, cell)
        if not said["recorder"]:
            self._fault(number, "`recorder` is empty")
        source = said.get("source", "").lower() or SOURCES[0]
        if source not in SOURCES:
            self._fault(number, f"`source` should be {', '.join(SOURCES)}, or nothing")
        first = self._day(number, "from", said.get("from", "")) or date.min
        last = self._day(number, "to", said.get("to", "")) or date.max
        if first > last:
            self._fault(number, "`to` is before `from`")
        if len(self.faults) > before:
            return None
        return Line(spelt(said["recorder"]), said["officer"], said["unit"], source, first, last)

    def _cell(self, number: int, name: str, cell: str) -> None:
        if printable(cell) != cell:
            self._fault(number, f"`{name}` has a control character or a line break: remove it")
        elif len(cell) > _LONGEST:
            self._fault(number, f"`{name}` is too long: at most {_LONGEST} characters")

    def _day(self, number: int, name: str, cell: str) -> date | None:
        if not cell:
            return None
        try:
            if found := _DATE.fullmatch(cell):
                return date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            pass  # 2026-02-30: told as everything that is no day
        self._fault(number, f"`{name}` should be a day such as 2026-11-25, or nothing")
        return None

    def _apart(self, found: Iterable[tuple[int, Line]]) -> None:
        """On one day, one line of a recorder holds."""
        ends: dict[str, tuple[int, Line]] = {}  # the line of each recorder that ends last so far
        for number, line in sorted(found, key=lambda one: (one[1].first, one[0])):
            other, before = ends.get(line.recorder, (0, line))
            if other and before == line:
                self._fault(max(number, other), f"says the same as line {min(number, other)}: remove one")
            elif other and before.last >= line.first:
                told = f"recorder {line.recorder} has line {min(number, other)} on the same days"
                self._fault(max(number, other), f"{told}: end the older one with `to`")
            if not other or line.last >= before.last:
                ends[line.recorder] = (number, line)


def _grouped(lines: Iterable[tuple[str, Line]]) -> dict[str, list[Line]]:
    grouped = defaultdict[str, list[Line]](list)
    for key, line in lines:
        grouped[key].append(line)
    return dict(grouped)


def _is_gbk(data: bytes) -> bool:
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True
