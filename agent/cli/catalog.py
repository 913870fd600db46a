"""`recorder-station catalog`: repairs that need the store for themselves."""

import sys
import time
from dataclasses import dataclass, field

import typer

from agent import lock
from agent.catalog.rebuild import rebuild_store
from agent.cli.config import ConfigPath
from agent.cli.speech import told
from agent.config import load
from agent.words.shown import size

_EVERY = 10.0  # seconds

app = typer.Typer(help="Repair the catalog.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def rebuild(config: ConfigPath = None) -> None:
    """Restore a lost catalog from the store, of which every byte is read. The agent must be stopped.
    What there is of a catalog is kept under another name."""
    loaded = load(config)
    with told(loaded.station.language), lock.hold(loaded.store.path):
        result = rebuild_store(loaded.store.path, _Progress())
    if result.old is not None:
        typer.echo(f"the old catalog is kept: {result.old}")
    for fault in result.faults:
        print(fault, file=sys.stderr)
    typer.echo(f"{result.clips} clips restored, {len(result.faults)} files could not be used")
    raise typer.Exit(1 if result.faults else 0)


@dataclass
class _Progress:
    """A line now and then: terabytes take hours."""

    last: float = field(default_factory=time.monotonic)

    def __call__(self, clips: int, read: int) -> None:
        now = time.monotonic()
        if now - self.last >= _EVERY:
            self.last = now
            print(f"{clips} clips verified, {size(read)} read", file=sys.stderr)
