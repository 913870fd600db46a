"""`recorder-station target`: what an administrator decides about central stores."""

from typing import Annotated, Any

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import LanguageOption, setting, told
from agent.errors import Stop
from agent.words import fill, word

app = typer.Typer(help="Central stores.", no_args_is_help=True)


@app.callback()
def _every_command() -> None:
    pass


@app.command()
def accept(
    name: Annotated[str, typer.Argument(help="The target's name in the configuration.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Let another store take the place of the one that the station is bound to.

    The station shows that with a problem, and sends nothing until then."""
    chosen = setting(config, lang)
    client = Client(chosen.socket)
    with told(chosen.language):
        other = _other(client, name)
        typer.echo(fill(word("target", "accept", chosen.language), {**other, "target": name}))
        if not yes and not typer.confirm(word("target", "sure", chosen.language)):
            raise typer.Exit(1)
        client.post("/commands/target-accept", {"target": name, "place": other["now"]})
        typer.echo(fill(word("target", "accepted", chosen.language), {"target": name}))


def _other(client: Client, name: str) -> dict[str, Any]:
    """What the agent says of the store that it found. Raises Stop `target-not-changed`."""
    for issue in client.get("/status")["health"]:
        if issue["key"] == "target-changed" and issue["params"].get("target") == name:
            return dict(issue["params"])
    raise Stop("target-not-changed", target=name)
