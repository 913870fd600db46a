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

from agent.config import Config, changed, load, station_path
from agent.config.layers import read_layers, roster_path
from agent.config.roster import read as read_roster
from agent.config.schema import json_schema
from agent.errors import ConfigError

app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Another station.yaml; its conf.d stands beside it."),
]


@app.command()
def check(config: ConfigPath = None) -> None:
    """Report every fault of every file, one per line; exit 0 when there is none."""
    station = station_path(config)
    roster = roster_path(station, _load(config))
    with _faults_told():
        read_roster(roster)
    read = [document.file for document in read_layers(station)]
    files = ", ".join(map(str, [*read, roster] if roster else read))
    typer.echo(f"ok: {files or f'no file at {station_path(config)}, only the defaults'}")


@app.command()
def show(
    config: ConfigPath = None,
    changed_only: Annotated[
        bool, typer.Option("--changed", help="Only what differs from the defaults.")
    ] = False,
) -> None:
    """Print the configuration as YAML."""
    loaded = _load(config)
    data: dict[str, Any] = changed(loaded) if changed_only else loaded.model_dump(mode="json")
    if data:
        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema, for editors that check while you type."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _load(path: Path | None) -> Config:
    with _faults_told():
        return load(path)


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1) from None
