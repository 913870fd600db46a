"""`recorder-station config`: check the files, show what is in force by them, describe them to editors.

Reads files only; needs no running agent.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from agent.config import changed, load, station_path
from agent.config.layers import read_layers, roster_path
from agent.config.roster import read as read_roster
from agent.config.schema import json_schema
from agent.errors import ConfigError

app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Another station.yaml; its conf.d stands beside it."),
]

#: Here, since `agent.cli.speech` needs what is here.
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def check(as_json: Json = False, config: ConfigPath = None) -> None:
    """Report every fault of every file, one per line; exit 0 when there is none."""
    station = station_path(config)
    with _faults_told(as_json):
        roster = roster_path(station, load(config))
        read_roster(roster)
    found = [document.file for document in read_layers(station)]
    read = [str(file) for file in ([*found, roster] if roster else found)]
    if as_json:
        typer.echo(json.dumps({"faults": [], "files": read}, ensure_ascii=False, indent=2))
        return
    files = ", ".join(read)
    typer.echo(f"ok: {files or f'no file at {station_path(config)}, only the defaults'}")


@app.command()
def show(
    config: ConfigPath = None,
    changed_only: Annotated[
        bool, typer.Option("--changed", help="Only what differs from the defaults.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the configuration as YAML."""
    with _faults_told():
        loaded = load(config)
    data: dict[str, Any] = changed(loaded) if changed_only else loaded.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
    elif data:
        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema, for editors that check while you type."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@contextmanager
def _faults_told(as_json: bool = False) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"faults": list(error.faults)}, ensure_ascii=False, indent=2))
        for fault in () if as_json else error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1) from None
