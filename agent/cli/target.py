"""`recorder-station target`: what an administrator decides about central stores."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, tell, told
from agent.config import Config
from agent.errors import ConfigError, Stop
from agent.status.plain import plain
from agent.upload.build import build
from agent.upload.check import Tried
from agent.upload.check import check as try_all
from agent.upload.targets.base import Target
from agent.words import fill, sentence, word

app = typer.Typer(help="Central stores.", no_args_is_help=True)


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="The target's name; else all of them.")] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Try everything that a target must be able to do: reach it, send, go on, compare, never replace.

    Needs no running agent, and its rights. What it lays there stays. Ends with 1 when something fails."""
    chosen = setting(config, lang)
    with told(chosen.language):
        if chosen.config is None:
            raise ConfigError(list(chosen.faults))
        tried = dict(_tried(chosen.config, name))
    if as_json:
        print(json.dumps({target: [_object(one) for one in steps] for target, steps in tried.items()}))
    else:
        for target, steps in tried.items():
            for one in steps:
                typer.echo(_line(target, one, chosen.language))
    if any(one.problem for steps in tried.values() for one in steps):
        raise typer.Exit(1)


def _tried(config: Config, name: str | None) -> Iterator[tuple[str, list[Tried]]]:
    if name is not None and name not in config.targets:
        raise Stop("no-such-target", target=name)
    for target in config.targets:
        if name in (None, target):
            yield target, list(try_all(partial(_make, config, target)))


def _make(config: Config, target: str, place: str) -> Target:
    """As at first contact unless it has said its place: in a store that is empty the mark is made, as the
    agent would."""
    return build({target: config.targets[target]}, lambda *_: place, config.store.path)[target]


def _object(one: Tried) -> dict[str, Any]:
    problem = one.problem and {"key": one.problem.key, "params": plain(one.problem.params)}
    return {"step": one.step, "ok": one.problem is None, "problem": problem}


def _line(target: str, one: Tried, language: str) -> str:
    step = word("check", one.step, language)
    if one.problem is None:
        return f"{word('severity', 'ok', language)}: {target}: {step}"
    said = sentence(one.problem.key, {**one.problem.params, "target": target}, language)
    return f"{word('severity', 'fail', language)}: {target}: {step}: {said}"


@app.command()
def accept(
    name: Annotated[str, typer.Argument(help="The target's name in the configuration.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Let another store take the place of the one that the station is bound to.

    The station shows that with a problem, and sends nothing until then."""
    chosen = setting(config, lang)
    client = Client(chosen.socket)
    with told(chosen.language):
        other = _other(client, name)
        # With --json standard output is the answer's alone.
        typer.echo(fill(word("target", "accept", chosen.language), {**other, "target": name}), err=as_json)
        if not yes and not typer.confirm(word("target", "sure", chosen.language), err=as_json):
            raise typer.Exit(1)
        client.post("/commands/target-accept", {"target": name, "place": other["now"]})
        tell("target", "accepted", {"target": name, "place": other["now"]}, chosen.language, as_json)


def _other(client: Client, name: str) -> dict[str, Any]:
    """What the agent says of the store that it found. Raises Stop `target-not-changed`."""
    for issue in client.get("/status")["health"]:
        if issue["key"] == "target-changed" and issue["params"].get("target") == name:
            return dict(issue["params"])
    raise Stop("target-not-changed", target=name)
