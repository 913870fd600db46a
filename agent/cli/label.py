"""`recorder-station label`: what people say of clips, which the retention rules look at."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside, labels
from agent.cli import label_file
from agent.cli.asking import NameOption, ReasonOption, done
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, spoken, told
from agent.config import Config
from agent.errors import Reject, StationError
from agent.model import ClipState
from agent.words import sentence, word
from agent.words.shown import size

app = typer.Typer(help="Labels on clips.", no_args_is_help=True)

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
    as_json: JsonOption = False,
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
        done(answer, "labelled", chosen.language, as_json)


@app.command("import")
def read(
    file: Annotated[
        Path, typer.Argument(help="CSV with the columns clip, category, case, important, officer, note.")
    ],
    name: NameOption,
    reason: ReasonOption,
    as_officer: OfficerOption = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Label clips as a CSV file says; an empty cell says nothing. All lines are checked first."""
    chosen = setting(config, lang)
    with told(chosen.language):
        client, by = Client(chosen.socket), _by(name, reason, as_officer)

        def ask(lines: Mapping[str, str]) -> Mapping[str, Any]:
            return dict(client.post("/commands/label-lines", {**lines, **by}))

        lines, faults = label_file.read(file)
        if faults := faults + label_file.check(lines, ask):
            raise _refused(file, faults, "label-file-refused", len(lines), chosen.language)
        taken = label_file.Taken()
        try:
            label_file.put(lines, ask, taken)
        except StationError as error:
            typer.echo(spoken(error, chosen.language), err=True)
            raise Reject("label-file-cut", file=str(file), line=taken.up_to) from error
        if taken.faults:
            raise _refused(file, taken.faults, "label-file-partly", len(lines), chosen.language)
        done({"clips": len(lines), "changed": taken.changed}, "labelled", chosen.language, as_json)


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


def _refused(file: Path, faults: Sequence[label_file.Fault], key: str, lines: int, language: str) -> Reject:
    """Each line with its reason is told; return what is to be said of the file."""
    for fault in sorted(faults, key=lambda one: one.number):
        params = {"file": str(file), "line": fault.number, "reason": spoken(fault.error, language)}
        typer.echo(sentence("label-line", params, language), err=True)
    refused = len({fault.number for fault in faults})
    return Reject(key, refused=refused, lines=lines)


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
