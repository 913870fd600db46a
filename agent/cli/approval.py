"""`recorder-station approval`: a second person says whether an evidence package may be made."""

from typing import Annotated, Any

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, tell, told
from agent.custody.texts import text_of
from agent.model import printable
from agent.words import fill, word

app = typer.Typer(help="A second person's approval of an evidence package.", no_args_is_help=True)

Asked = Annotated[int, typer.Argument(min=1, metavar="ID", help="As `export` told it.")]
Name = Annotated[str, typer.Option("--name", help="Who decides.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def give(
    asked: Asked,
    name: Name,
    yes: Yes = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Approve an export: under another name than who asked, and as another user of this machine."""
    _decide("approve", asked, name, yes, as_json, config, lang)


@app.command()
def refuse(
    asked: Asked,
    name: Name,
    yes: Yes = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Refuse an export. What was asked for cannot be made any more; it can be asked for anew."""
    _decide("refuse", asked, name, yes, as_json, config, lang)


def _decide(
    what: str, asked: int, name: str, yes: bool, as_json: bool, config: ConfigPath, lang: LanguageOption
) -> None:
    chosen = setting(config, lang)
    client = Client(chosen.socket)
    with told(chosen.language):
        said = {"asked": str(asked), "person": text_of(name, "person")}
        found: dict[str, Any] = client.post("/commands/export-look", {"asked": str(asked)})
        shown = {**found, "case": found["case"] or "–", "count": len(found["clips"]), "asked": asked}
        # With --json standard output is the answer's alone.
        typer.echo(fill(word("export", "look", chosen.language), shown), err=as_json)
        typer.echo(f"  {printable(found['reason'])}", err=as_json)
        if not yes and not typer.confirm(word("export", f"sure-{what}", chosen.language), err=as_json):
            raise typer.Exit(1)
        answer = client.post(f"/commands/export-{what}", said)
        tell("export", f"done-{what}", {**answer, "asked": asked}, chosen.language, as_json)
