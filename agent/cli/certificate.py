"""`recorder-station certificate`: a request out to the agency's authority, the signed certificate in."""

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, tell, told
from agent.errors import Stop
from agent.image import identity
from agent.image.files import content
from agent.image.names import machine_id
from agent.image.paths import Paths
from agent.image.system import System
from agent.words import fill, word

PATHS = Paths()
SYSTEM = System()

app = typer.Typer(help="The certificate of this station.", no_args_is_help=True)


@app.command()
def request(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there; else it is printed.")
    ] = None,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Make a request that the agency's authority signs. The key does not leave the station."""
    with told(setting(config, lang).language):
        names = [socket.gethostname().partition(".")[0], f"station-{machine_id(PATHS)[:8]}"]
        made = identity.request(PATHS.identity, SYSTEM, names)
        if out is None:
            sys.stdout.write(made.decode())
            return
        try:
            out.write_bytes(made)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Stop("file-not-written", file=str(out), reason=reason) from error


@app.command()
def install(
    file: Annotated[Path, typer.Argument(help="The certificate, with those above it: PEM, DER or PKCS #7.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Take the signed certificate. The one before is kept beside it."""
    language = setting(config, lang).language
    with told(language):
        if os.geteuid() != 0:
            raise Stop("must-be-root")
        try:
            given = content(file)
        except FileNotFoundError as error:
            reason = error.strerror or str(error)
            raise Stop("boot-file-unreadable", file=str(file), reason=reason) from error
        said = identity.install(PATHS.identity, SYSTEM, given, PATHS.ca, datetime.now(UTC))
        tell("certificate", "installed", said, language, as_json)
        if as_json:
            return
        if said["early"]:
            typer.echo(fill(word("certificate", "early", language), said))
        if not said["authority_known"]:
            typer.echo(word("certificate", "authority-unknown", language))
