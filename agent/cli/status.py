"""`recorder-station status`: the rack as a table, once or every second."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.filling import filling
from agent.cli.speech import JsonOption, LanguageOption, knows, screen, setting, spoken, told
from agent.errors import StationError
from agent.status.shape import IssueShape, SlotShape, StatusShape
from agent.words import fill, remedy, sentence, word
from agent.words.shown import duration, size

_EVERY = 1.0  # seconds
_STYLES = {
    "identifying": "cyan",
    "collecting": "cyan",
    "collected": "bold green",
    "locked": "bold yellow",
    "incomplete": "bold yellow",
    "failed": "bold red",
    "stuck": "bold red",
    "out-of-use": "magenta",
}
_SEVERITIES = {"warning": "yellow", "critical": "bold red"}


def status(
    config: ConfigPath = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it, anew every second.")] = False,
    lang: LanguageOption = None,
) -> None:
    """Show every slot, what waits for upload, and what is wrong."""
    chosen = setting(config, lang)
    client = Client(chosen.socket)
    with told(chosen.language):
        if as_json:
            _print_json(client, watch)
        elif watch:
            _watch(client, screen(), chosen.language)
        else:
            screen().print(picture(client.get("/status"), chosen.language))


def _print_json(client: Client, again: bool) -> None:
    """One object; when watching one per line, so that programs can read on."""
    print(json.dumps(client.get("/status"), ensure_ascii=False, indent=None if again else 2), flush=True)
    while again:
        time.sleep(_EVERY)
        print(json.dumps(client.get("/status"), ensure_ascii=False), flush=True)


def _watch(client: Client, console: Console, language: str) -> None:
    """Until Ctrl-C. An agent that went away is said, in place of a picture that is no longer true."""
    with Live(picture(client.get("/status"), language), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(_EVERY)
                live.update(_picture_or_error(client, language), refresh=True)
        except KeyboardInterrupt:
            sys.exit(0)


def _picture_or_error(client: Client, language: str) -> Group | Text:
    try:
        return picture(client.get("/status"), language)
    except StationError as error:
        return Text(spoken(error, language), style="bold red")


def picture(shown: StatusShape, language: str) -> Group:
    """Names come from recorders: they enter as Text, never as markup."""
    slots = _slots(shown, language) if shown["slots"] else Text(word("page", "no_slots", language))
    return Group(_headline(shown, language), slots, *_figures(shown, language), *_health(shown, language))


def _headline(shown: StatusShape, language: str) -> Text:
    clock = "clock_trusted" if shown["clock_trusted"] else "clock_untrusted"
    uptime = fill(word("page", "uptime", language), {"seconds": shown["uptime_seconds"]})
    parts = [shown["station"], shown["version"], uptime, word("page", clock, language)]
    if not shown["ready"]:
        parts.append(word("page", "starting", language))
    return Text(" · ".join(parts), style="bold")


def _slots(shown: StatusShape, language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("slot", "state", "recorder", "officer", "files", "bytes", "speed", "eta", "problem"):
        right = column in ("files", "bytes", "speed", "eta")
        table.add_column(
            word("page", column, language), justify="right" if right else "left", overflow="fold"
        )
    for slot in shown["slots"]:
        table.add_row(*(Text(cell, style=style) for cell, style in _cells(slot, language)))
    return table


def _cells(slot: SlotShape, language: str) -> list[tuple[str, str]]:
    speed, eta = slot["bytes_per_second"], slot["eta_seconds"]
    total = slot["files_total"]
    problems = [sentence(problem["key"], problem["params"], language) for problem in slot["problems"]]
    return [
        (slot["slot"], "bold"),
        (_state(slot, language), _STYLES.get(slot["state"], "")),
        (slot["recorder"], ""),
        (slot["officer"], ""),
        (f"{slot['files_done']}/{total}" if total else "", ""),
        (f"{size(slot['bytes_done'])} / {size(slot['bytes_total'])}" if total else "", ""),
        (f"{size(speed)}/s" if speed else "", ""),
        ("" if eta is None else duration(eta), ""),
        ("\n".join(problems), "red"),
    ]


def _state(slot: SlotShape, language: str) -> str:
    """With what is to become of a slot that finishes what is in it."""
    told = [word("slots", slot["step"], language)]
    if slot["out_of_use"] is not None and slot["state"] != "out-of-use":
        told.append(word("slots", "out-of-use", language))
    return " · ".join(told)


def _figures(shown: StatusShape, language: str) -> list[Text]:
    clips = [f"{word('clips', state, language)} {count}" for state, count in shown["clips"].items() if count]
    lines = {
        "clips": " · ".join(clips) or "0",
        "queue": fill(word("page", "queue_value", language), shown["queue"]),
        "disk": fill(word("page", "disk_value", language), shown["disk"]),
    }
    per_day, full_in = shown["disk"]["per_day"], shown["disk"]["full_in_days"]
    if per_day is not None:
        lines["disk"] += ". " + filling(per_day, full_in, language)
    return [Text(f"{word('page', name, language)}: {line}") for name, line in lines.items()]


def _health(shown: StatusShape, language: str) -> list[Text]:
    lines = [line for issue in shown["health"] for line in _issue(issue, language)]
    well = Text(f"{word('page', 'health', language)}: {word('page', 'well', language)}", style="green")
    return lines or [well]


def _issue(issue: IssueShape, language: str) -> Iterator[Text]:
    severity = word("severity", issue["severity"], language)
    said = sentence(issue["key"], issue["params"], language)
    yield Text(f"{severity}: {said}", style=_SEVERITIES.get(issue["severity"], ""))
    if known := knows(issue, language):
        yield Text(f"  {known}", style="cyan")
    if what := remedy(issue["key"], language):
        yield Text(f"  → {what}", style="dim")
