"""`stations.csv`: one row for each station, found by MAC address or board serial.

A row becomes `conf.d/50-fleet.yaml`. What is wrong is told with row and column, as a spreadsheet counts
them; a wrong cell leaves out what it belongs to (the target, the slots), not the whole row.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from agent.config import Config
from agent.config.documents import Mark, Place, read
from agent.config.faults import explain
from agent.config.units import FROM_FILE
from agent.errors import Stop
from agent.image.machine import Machine, mac_of, serial_of
from agent.image.report import Report

TARGET = "centre"
_COLUMNS = frozenset({"mac", "serial", "name", "language", "ntp", "ca", "slots", "note"})
_MOST_ROWS = 20_000
_SPREADSHEET_NUMBER = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]+", re.ASCII | re.IGNORECASE)
MAP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)

Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def rows(text: str, file: str, report: Report) -> list[Row]:
    """Raises Stop when this is no such table."""
    listed = list(_lines(text, file))
    if not listed:
        raise Stop("fleet-no-table", file=file)
    first, header = listed[0]
    names = [name.strip().lower() for name in header]
    if not {"mac", "serial"} & set(names):
        raise Stop("fleet-no-table", file=file)
    for number, name in enumerate(names):
        if name and (not _is_known(name) or name in names[:number]):
            why = "stands here twice" if name in names[:number] else "is not known, and not read"
            report.problem("fleet-cell", file=file, row=first, column=name, fault=why)
    return [
        Row(number, {name: cell.strip() for name, cell in zip(names, cells, strict=False) if _is_known(name)})
        for number, cells in listed[1:]
        if any(cell.strip() for cell in cells)
    ]


def _is_known(name: str) -> bool:
    return name in _COLUMNS or re.fullmatch(r"target\.[a-z_0-9]+", name) is not None


def _lines(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    head = text.lstrip("\n").partition("\n")[0]
    if head.lower().startswith("sep="):  # a hint to spreadsheets
        text = text.replace(head, "", 1)
        head = text.lstrip("\n").partition("\n")[0]
    separator = max(",;\t", key=head.count)
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text), delimiter=separator), 1):
            if number > _MOST_ROWS:
                raise Stop("fleet-too-many", file=file, most=_MOST_ROWS)
            if cells:
                yield number, cells
    except csv.Error as error:
        raise Stop("fleet-no-table", file=file) from error


def own_row(listed: list[Row], machine: Machine, file: str, report: Report) -> Row | None:
    """The row of this machine. None, with a problem, when there is none, or more than one."""
    own = [row for row in listed if is_own(row, machine)]
    if len(own) == 1:
        return own[0]
    if own:
        report.problem("fleet-twice", file=file, rows=[row.number for row in own])
        return None
    # Somebody else's wrong target is not our concern, but an unreadable number may be ours.
    for row in listed:
        if row["mac"] and not mac_of(row["mac"]):
            report.problem("fleet-cell", file=file, row=row.number, column="mac", fault="is no MAC address")
        if fault := _serial_fault(row["serial"]):
            report.problem("fleet-cell", file=file, row=row.number, column="serial", fault=fault)
    report.problem("fleet-no-row", file=file, macs=sorted(machine.macs), serials=sorted(machine.serials))
    return None


def is_own(row: Row, machine: Machine) -> bool:
    return mac_of(row["mac"]) in machine.macs or serial_of(row["serial"]) in machine.serials


def _serial_fault(serial: str) -> str:
    if _SPREADSHEET_NUMBER.fullmatch(serial):
        return "the spreadsheet made a number of it: format the column as text"
    return "says nothing about one machine" if serial and not serial_of(serial) else ""


def configuration(row: Row, boot: Path, file: str, report: Report) -> Section:
    """What this row says, each section checked by the schema."""
    said: Section = {}
    station: Section = {key: row[key] for key in ("name", "language") if row[key]}
    if servers := re.split(r"[\s;,]+", row["ntp"].strip("; ,")) if row["ntp"] else []:
        station["ntp"] = servers
    target = {
        name.removeprefix("target."): _value(cell)
        for name, cell in row.cells.items()
        if name.startswith("target.") and cell
    }
    if station:
        _take(said, {"station": station}, row, file, report)
    if target:
        _take(said, {"targets": {TARGET: target}}, row, file, report)
    if row["slots"]:
        _take_slots(said, row, boot, file, report)
    return said


def _value(cell: str) -> Any:
    """Spreadsheets write switches in capitals."""
    return {"true": True, "false": False}.get(cell.lower(), cell)


def _take(said: Section, section: Section, row: Row, file: str, report: Report) -> None:
    found = list(faults(section, row, file))
    for column, fault in found:
        report.problem("fleet-cell", file=file, row=row.number, column=column, fault=fault)
    if not found:
        said.update(section)


def faults(section: Section, row: Row, file: str) -> Iterator[tuple[str, str]]:
    """(column, what is wrong)."""
    marks: dict[Place, Mark] = {(name,): Mark(Path(file), row.number) for name in section}
    try:
        Config.model_validate(section, context=FROM_FILE)
    except ValidationError as error:
        for one in error.errors():
            for fault in explain(one, Config, marks):
                yield _column(fault.message), fault.message


def _column(message: str) -> str:
    place = re.match(r"`([^`]*)`", message)
    path = place[1] if place else ""
    if path.startswith(f"targets.{TARGET}."):
        return path.replace(f"targets.{TARGET}.", "target.")
    if path.startswith("station."):
        return path.split(".")[1]
    if path.startswith("dock."):
        return "slots"
    return f"target.{path}"  # an unknown key of the target is named alone


def _take_slots(said: Section, row: Row, boot: Path, file: str, report: Report) -> None:
    cell = row["slots"]
    if "=" in cell:
        pairs = [part.partition("=") for part in re.split(r"[;\n]+", cell) if part.strip()]
        slots = {name.strip(): {"port": port.strip()} for name, _, port in pairs}
        if len(slots) != len(pairs):
            report.problem(
                "fleet-cell", file=file, row=row.number, column="slots", fault="a slot stands twice"
            )
            return
        _take(said, {"dock": {"slots": slots}}, row, file, report)
        return
    name = cell.removesuffix(".yaml")
    if not MAP_NAME.fullmatch(name):
        fault = "should be the name of a file in slots/, or `A1=pci-…;A2=pci-…`"
        report.problem("fleet-cell", file=file, row=row.number, column="slots", fault=fault)
        return
    _take_map(said, boot / "slots" / f"{name}.yaml", row, file, report)


def _take_map(said: Section, source: Path, row: Row, file: str, report: Report) -> None:
    try:
        document = read(source)
    except FileNotFoundError:
        fault = f"there is no slots/{source.name} on the boot partition"
        report.problem("fleet-cell", file=file, row=row.number, column="slots", fault=fault)
        return
    wrong = [(fault.line, fault.message) for fault in document.faults]
    slots = {name: {"port": port} if isinstance(port, str) else port for name, port in document.data.items()}
    if not wrong:
        wrong = [(row.number, message) for _, message in faults({"dock": {"slots": slots}}, row, file)]
    for line, message in wrong:
        report.problem("fleet-slot-map", file=f"slots/{source.name}", line=line, fault=message)
    if not wrong and slots:
        said["dock"] = {"slots": slots}


def written(said: Section, row: Row, file: str) -> bytes:
    head = f"# From row {row.number} of {file}, made anew at each boot: changes here are lost.\n"
    return (head + yaml.safe_dump(said, allow_unicode=True, sort_keys=False)).encode()
