"""`recorder-station catalog`: repairs that need the store for themselves."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import typer

from agent import lock
from agent.catalog.progress import Progress
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, told
from agent.config import load
from agent.custody.rebuild import Done, rebuild_store
from agent.status.plain import plain
from agent.upload.report.who import station_id
from agent.words import sentence
from agent.words.shown import size

_EVERY = 10.0  # seconds

app = typer.Typer(help="Repair the catalog.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def rebuild(as_json: JsonOption = False, config: ConfigPath = None) -> None:
    """Restore a lost catalog: its story from the log, its clips from the store, of which every byte is read.
    The agent must be stopped. What there is of a catalog is kept under another name."""
    loaded = load(config)
    language, store = loaded.station.language, loaded.store.path
    with told(language), lock.hold(store):
        done = rebuild_store(store, station_id(store), _Progress())
    clips = done.clips
    whole = not (clips.faults or clips.missing or done.log.key == "rebuilt-without-log")
    if as_json:
        print(json.dumps(_facts(done), ensure_ascii=False, indent=2))
        raise typer.Exit(0 if whole else 1)
    if done.old is not None:
        typer.echo(f"the old catalog is kept: {done.old}")
    for fault in clips.faults:
        print(fault, file=sys.stderr)
    typer.echo(sentence(done.log.key, done.log.params, language))
    for key, count in (("rebuilt-missing", clips.missing), ("rebuilt-elsewhere", clips.elsewhere)):
        if count:
            typer.echo(sentence(key, {"clips": count}, language))
    typer.echo(f"{clips.clips} clips restored, {len(clips.faults)} files could not be used")
    raise typer.Exit(0 if whole else 1)


def _facts(done: Done) -> dict[str, Any]:
    clips = done.clips
    return {
        "clips": clips.clips,
        "missing": clips.missing,
        "elsewhere": clips.elsewhere,
        "faults": [plain(str(fault)) for fault in clips.faults],
        "log": {"key": done.log.key, "params": plain(done.log.params)},
        "old": None if done.old is None else str(done.old),
    }


@dataclass
class _Progress(Progress):
    """A line now and then: terabytes take hours."""

    last: float = field(default_factory=time.monotonic)

    def clips(self, done: int, read: int) -> None:
        self._say(lambda: f"{done} clips verified, {size(read)} read")

    def events(self, done: int, of: int) -> None:
        self._say(lambda: f"{done} of {of} events read")

    def lives(self, done: int, of: int) -> None:
        self._say(lambda: f"the clips of {done} of {of} events restored")

    def _say(self, line: Callable[[], str]) -> None:
        now = time.monotonic()
        if now - self.last >= _EVERY:
            self.last = now
            print(line(), file=sys.stderr)
