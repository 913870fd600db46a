"""`recorder-station centre`: what the archive does, on a machine of its own; never a station.

`plan` and `stations` read only. `expire` erases by a list that `plan` wrote, and by nothing else.
"""

import csv
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.archive import expire as erasing
from agent.archive import lists
from agent.archive.bucket import BucketStore
from agent.archive.folder import FolderStore
from agent.archive.plan import Archive, Plan
from agent.archive.stations import SILENT
from agent.archive.store import Store
from agent.cli import stations as stations_of
from agent.cli.asking import NameOption, ReasonOption
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, Setting, screen, setting, told
from agent.config import Config, targets
from agent.errors import ConfigError, Stop
from agent.retention.rules import Rule, ruleset
from agent.upload.build import reach
from agent.upload.targets.s3.versions import Versions
from agent.words import fill, word
from agent.words.shown import size

app = typer.Typer(help="The archive: what may go at the centre, and erasing it.", no_args_is_help=True)
_DAY = 86400.0

TargetOption = Annotated[
    str | None, typer.Option("--target", help="The store's name in `targets`; needed when there are several.")
]
DaysOption = Annotated[
    float, typer.Option("--days", min=0, help="A station that told nothing for so long keeps all of its own.")
]


@app.command()
def plan(
    target: TargetOption = None,
    days: DaysOption = SILENT / _DAY,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the list for `expire` there."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print what may go as CSV.")] = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Tell what no rule and no hold of any station keeps at the centre, and why the rest stays.

    Reads only."""
    chosen = setting(config, lang)
    with told(chosen.language):
        archive = _archive(chosen, target, days)
        found = archive.plan()
        root = lists.write(found, out) if out else ""
    if as_json:
        print(json.dumps(_facts(found, archive, root), ensure_ascii=False, indent=2))
    elif as_csv:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(["key", "sha256", "size", "until", "rule"])
        rows.writerows([one.key, one.sha256, one.size, _at(one.until), one.rule] for one in found.going)
    else:
        _show(found, archive, chosen.language)
        if out:
            typer.echo(fill(word("centre", "listed", chosen.language), {"file": str(out), "root": root}))


@app.command()
def expire(
    file: Annotated[Path, typer.Argument(help="The list that `plan --out` wrote.")],
    name: NameOption,
    reason: ReasonOption,
    most: Annotated[
        float, typer.Option("--most", min=0, max=100, help="Percent of the clips: never more at once.")
    ] = erasing.MOST,
    despite: Annotated[
        list[str] | None,
        typer.Option("--despite", metavar="STATION", help="Go on although its story is lost in part."),
    ] = None,
    target: TargetOption = None,
    days: DaysOption = SILENT / _DAY,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Erase what the list names and nothing keeps still, in every version, with a certificate.

    Run again by the same list after it was cut off, it goes on. Ends with 1 when something stays."""
    chosen = setting(config, lang)
    with told(chosen.language):
        archive = _archive(chosen, target, days)
        if not name.strip() or not reason.strip():
            raise Stop("archive-nobody")
        wanted = lists.read(_content(file))
        done = erasing.expire(archive, wanted, name, reason, most, despite or [])
    if as_json:
        kept = [{"key": key, "why": why} for key, why in done.kept]
        print(json.dumps({**asdict(done), "kept": kept}, ensure_ascii=False, indent=2))
    else:
        typer.echo(fill(word("centre", "erased", chosen.language), asdict(done)))
        for why, count in done.reasons().items():
            typer.echo(f"{count}: {word('centre', why, chosen.language)}")
    if done.kept:
        raise typer.Exit(1)


@app.command()
def stations(
    file_sd: stations_of.FileSdOption = False,
    target: TargetOption = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """List every station that tells of itself at the centre, and where its pages and metrics are."""
    chosen = setting(config, lang)
    with told(chosen.language):
        if chosen.config is None:
            raise ConfigError(list(chosen.faults))
        store = _store(chosen.config, target)
        stations_of.show(store, file_sd=file_sd, as_json=as_json, language=chosen.language)


def _archive(chosen: Setting, target: str | None, days: float) -> Archive:
    if chosen.config is None:
        raise ConfigError(list(chosen.faults))
    return Archive(_store(chosen.config, target), _rules(chosen.config), time.time, days * _DAY)


def _store(config: Config, name: str | None) -> Store:
    if name is None and len(config.targets) == 1:
        [name] = config.targets
    if name is None or name not in config.targets:
        raise Stop("no-such-target", target=name or "-")
    match found := config.targets[name]:
        case targets.FolderTarget():
            return FolderStore(found.path)
        case targets.S3Target():
            return BucketStore(f"{found.url}/{found.bucket}", Versions(*reach(found)))
    raise Stop("archive-no-store", target=name)


def _rules(config: Config) -> tuple[Rule, ...]:
    """The archive's own, where its file has any: those that every station has are told by the stations."""
    own = config.retention.classes or config.retention.rules
    return ruleset(config.retention) if own else ()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Stop("archive-list-unreadable", path=str(file), error=error.strerror) from error


def _facts(found: Plan, archive: Archive, root: str) -> dict[str, Any]:
    return {
        "place": found.place,
        "made_at": _at(found.made_at),
        "clips": found.clips,
        "going": {"clips": len(found.going), "bytes": found.size, "percent": found.percent, "root": root},
        "rules": found.rules(),
        "kept": {key: asdict(reason) for key, reason in found.kept.items()},
        "stations": [
            {"id": one.id, "station": one.name, "written_at": _at(one.written_at), "doubt": one.doubt}
            for one in archive.stations
        ],
    }


def _show(found: Plan, archive: Archive, language: str) -> None:
    numbers = {"clips": len(found.going), "bytes": found.size, "of": found.clips}
    typer.echo(fill(word("centre", "planned", language), {**numbers, "percent": round(found.percent, 1)}))
    for one in archive.stations:
        if one.doubt:
            why = word("centre", one.doubt, language)
            facts = {"station": one.name or one.id, "id": one.id, "why": why}
            typer.echo(fill(word("centre", "doubt", language), facts))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("why", "clips", "size", "first"):
        table.add_column(word("centre", column, language), overflow="fold")
    for cells in _rows(found, language):
        table.add_row(*map(Text, cells))
    screen().print(table)


def _rows(found: Plan, language: str) -> Iterator[list[str]]:
    first = " ".join(one.key for one in found.going[:3])
    yield [word("centre", "may-go", language), str(len(found.going)), size(found.size), first]
    for key, reason in sorted(found.kept.items(), key=lambda one: -one[1].clips):
        yield [word("centre", key, language), str(reason.clips), size(reason.size), " ".join(reason.first)]


def _at(when: float | None) -> str | None:
    if when is None or math.isinf(when):
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when))
