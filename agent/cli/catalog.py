"""`recorder-station catalog`: repairs that need the store for themselves."""

import sys
from pathlib import Path

import typer

from agent import lock
from agent.catalog import Catalog
from agent.catalog.rebuild import rebuild as rebuild_catalog
from agent.catalog.rebuild import set_aside
from agent.cli.config import ConfigPath
from agent.cli.speech import told
from agent.config import load

app = typer.Typer(help="Repair the catalog.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def rebuild(config: ConfigPath = None) -> None:
    """Restore a lost catalog from the store. The agent must be stopped. What there is of a catalog is
    kept under another name."""
    loaded = load(config)
    store: Path = loaded.store.path
    with told(loaded.station.language), lock.hold(store):
        path = store / "catalog.db"
        aside = set_aside(path)
        if aside is not None:
            typer.echo(f"the old catalog is kept: {aside}")
        catalog = Catalog.open(path)
        try:
            result = rebuild_catalog(catalog, store / "clips")
        finally:
            catalog.close()
    for fault in result.faults:
        print(fault, file=sys.stderr)
    typer.echo(f"{result.clips} clips restored, {len(result.faults)} files could not be used")
    raise typer.Exit(1 if result.faults else 0)
