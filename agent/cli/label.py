"""`recorder-station label`: what people say of clips, which the retention rules look at."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside, labels
from agent.cli.asking import NameOption, ReasonOption, done
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, told
from agent.config import Config
from agent.errors import Reject
from agent.model import ClipState
from agent.words import word
from agent.words.shown import size

app = typer.Typer(help="Labels on clips.", no_args_is_help=True)
_MOST_LINES = 100_000

OfficerOption = Annotated[
    bool, typer.Option("--as-officer", help="For an officer, who may only lengthen a period.")
]


@app.command("set")
def put(
    name: NameOption,
    reason: ReasonOption,
    clip: Annotated[
        list[int] | None, typer.Option("--clip", min=1, help="A clip, by its id. Repeatable.")
    ] = None,
    docking: Annotated[int | None, typer.Option("--docking", min=1, help="All clips of a docking.")] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Its category; '' takes it back.")
    ] = None,
    case: Annotated[str | None, typer.Option("--case", help="Number of its case; '' takes it back.")] = None,
    important: Annotated[
        str | None,
        typer.Option("--important", metavar="yes|no", help="Whatever its recorder says; '' takes it back."),
    ] = None,
    officer: Annotated[
        str | None, typer.Option("--officer", help="Whose recording it is; '' takes it back.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="Free text; '' takes it back.")] = None,
    as_officer: OfficerOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Say something of clips."""
    if bool(clip) == bool(docking):
        raise typer.BadParameter("either --clip or --docking")
    chosen = setting(config, lang)
    fields = {"category": category, "case": case, "important": important, "officer": officer, "note": note}
    said = {field: text for field, text in fields.items() if text is not None}
    of = {"docking": str(docking)} if docking else {"clips": ",".join(map(str, clip or ()))}
    with told(chosen.language):
        answer = Client(chosen.socket).post(
            "/commands/label", {**of, **said, **_by(name, reason, as_officer)}
        )
        done(answer, "labelled", chosen.language)


@app.command("import")
def read(
    file: Annotated[
        Path, typer.Argument(help="CSV with the columns clip, category, case, important, officer, note.")
    ],
    name: NameOption,
    reason: ReasonOption,
    as_officer: OfficerOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Label clips as a CSV file says; an empty cell says nothing. All of it is read before it is said."""
    chosen = setting(config, lang)
    with told(chosen.language):
        rows = [(clip, said) for clip, said in _lines(file) if said]
        client, changed = Client(chosen.socket), 0
        for clip, said in rows:
            answer = client.post("/commands/label", {"clips": clip, **said, **_by(name, reason, as_officer)})
            changed += answer["changed"]
        done({"clips": len(rows), "changed": changed}, "labelled", chosen.language)


@app.command()
def missing(
    officer: Annotated[str, typer.Option("--officer", help="Only of this officer.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many clips.")] = 1000,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """List clips that nobody has labelled, by officer. Reads only; the agent may run."""
    chosen = setting(config, lang)
    with told(chosen.language), beside.reading((chosen.config or Config()).store.path) as db:
        rows = labels.unlabelled(db, officer, 0, limit)
    rows.sort(key=lambda row: (row["officer"], row["id"]))
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        screen().print(_table(rows, chosen.language))


def _lines(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            for number, row in enumerate(csv.DictReader(text, strict=True), 2):
                if number > _MOST_LINES:
                    raise Reject(
                        "label-file", file=str(file), line=number, reason=f"more than {_MOST_LINES} lines"
                    )
                yield _line(file, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Reject("label-file", file=str(file), line=1, reason=str(error)) from error


def _line(file: Path, number: int, row: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    unknown = [str(name) for name in row if name not in ("clip", *labels.FIELDS)]
    clip = (row.get("clip") or "").strip()
    if unknown or None in row.values():
        why = f"column {unknown[0]}" if unknown else "a cell is missing"
        raise Reject("label-file", file=str(file), line=number, reason=why)
    if not (clip.isascii() and clip.isdigit()):
        raise Reject("label-file", file=str(file), line=number, reason=f"{clip!r} is no clip's id")
    return clip, {name: row[name].strip() for name in labels.FIELDS if row.get(name, "").strip()}


def _by(name: str, reason: str, as_officer: bool) -> dict[str, str]:
    return {"person": name, "reason": reason, "role": "officer" if as_officer else "custodian"}


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("officer", "id", "recorder", "recorded", "state", "size"):
        table.add_column(word("page", column, language), overflow="fold")
    for row in rows:
        state = word("clips", ClipState(row["state"]), language)
        cells = [
            row["officer"],
            str(row["id"]),
            row["recorder"],
            row["recorded_at"] or "",
            state,
            size(row["size"]),
        ]
        table.add_row(*map(Text, cells))
    return table
