"""`recorder-station receipt`: what was handed over, with the proof of it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.catalog import beside, handover, meta
from agent.cli.config import ConfigPath
from agent.cli.speech import LanguageOption, setting, told
from agent.config import Config
from agent.custody.evidence import receipts
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.errors import Stop


def receipt(
    slot: Annotated[
        str | None, typer.Argument(help="A slot: the receipt of the docking that ended last there.")
    ] = None,
    docking: Annotated[int | None, typer.Option("--docking", min=1, help="A docking, by its number.")] = None,
    clip: Annotated[int | None, typer.Option("--clip", min=1, help="One clip, by its id.")] = None,
    short: Annotated[bool, typer.Option("--short", help="The short form, for a QR code.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Another store, for instance a copy of one.")
    ] = None,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Print the receipt of a docking, or of a clip: what happened, and the proof that it is in the log.

    Reads only; the agent may run."""
    chosen = setting(config, lang)
    asked = [value for value in (slot, docking, clip) if value is not None]
    if len(asked) != 1:
        raise typer.BadParameter("one of SLOT, --docking and --clip")
    store = data or (chosen.config or Config()).store.path
    with told(chosen.language), beside.reading(store) as db:
        number = meta.get(db, opening.META)
        if number is None:
            raise Stop("no-log-yet")
        log = Log(store / "custody" / number)
        if docking is not None:
            seq = handover.event_of_docking(db, docking)
        elif clip is not None:
            seq = handover.event_of_clip(db, clip)
        else:
            seq = handover.event_of_slot(db, slot or "")
        made = receipts.short(log, seq).text.encode() + b"\n" if short else receipts.of_event(log, seq).data
    sys.stdout.buffer.write(made)
