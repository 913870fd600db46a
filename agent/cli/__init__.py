"""`recorder-station`: the command line. One file per command or group of commands."""

import sys
from typing import Annotated

import typer

from agent import __version__
from agent.cli import (
    account,
    agree,
    approval,
    audit,
    case,
    catalog,
    centre,
    certificate,
    clip,
    clips,
    clock,
    config,
    doctor,
    export,
    finding,
    handin,
    hold,
    issue,
    label,
    log,
    receipt,
    retention,
    run,
    scrub,
    slot,
    status,
    support,
    target,
    token,
    update,
    upload,
)
from agent.cli.speech import spoken
from agent.errors import StationError

app = typer.Typer(
    help="Collects, verifies and uploads the clips of police video recorders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it prints local variables, and those may be secrets
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"recorder-station {__version__}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


app.command("status")(status.status)
app.command("clips")(clips.clips)
app.add_typer(clip.app, name="clip")
app.command("receipt")(receipt.receipt)
app.command("clock")(clock.clock)
app.command("export")(export.export)
app.add_typer(approval.app, name="approval")
app.command("doctor")(doctor.doctor)
app.command("support-bundle")(support.support_bundle)
app.add_typer(config.app, name="config")
app.command("run")(run.run)
app.add_typer(catalog.app, name="catalog")
app.add_typer(audit.app, name="audit")
app.add_typer(log.app, name="log")
app.command("update")(update.update)
app.add_typer(certificate.app, name="certificate")
app.add_typer(target.app, name="target")
app.add_typer(upload.app, name="upload")
app.add_typer(slot.app, name="slot")
app.add_typer(issue.app, name="issue")
app.add_typer(finding.app, name="finding")
app.add_typer(label.app, name="label")
app.add_typer(hold.app, name="hold")
app.add_typer(case.app, name="case")
app.command("handin")(handin.handin)
app.command("agree")(agree.agree)
app.add_typer(retention.app, name="retention")
app.add_typer(centre.app, name="centre")
app.command("scrub")(scrub.scrub)
app.add_typer(account.app, name="account")
app.add_typer(token.app, name="token")


def main() -> None:
    """The console script. What a command does not tell by itself is told here, without a traceback."""
    try:
        app()
    except StationError as error:
        print(spoken(error), file=sys.stderr)
        sys.exit(1)
