"""`recorder-station clip`: one clip, by a named person: its story, or the recording itself."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from agent.catalog import findings
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, tell, told
from agent.config import Config
from agent.custody.evidence.handout import hand_out
from agent.errors import Stop
from agent.model import printable
from agent.words import fill, sentence, word, words

Number = Annotated[int, typer.Argument(min=1, metavar="ID", help="The clip, as `clips` shows it.")]
Name = Annotated[str, typer.Option("--name", help="Who looks at it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

app = typer.Typer(help="One clip: its story, or the recording. That it is looked at is an entry of the log.",
                  no_args_is_help=True)  # fmt: skip


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(
    clip: Number,
    name: Name,
    reason: Reason = "",
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Show everything that happened to a clip, from the recorder's port on."""
    chosen = setting(config, lang)
    asked = {"clip": str(clip), "what": "story", "person": name, "reason": reason}
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/view", asked)
    if as_json:
        print(json.dumps(_said(answer, chosen.language), ensure_ascii=False, indent=2))
    else:
        _print(answer, chosen.language)


@app.command("open")
def open_(
    clip: Number,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The copy; nothing may be there yet.")],
    name: Name,
    reason: Reason = "",
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Copy the recording of a clip out of the store, compared with what the catalog says of it."""
    chosen = setting(config, lang)
    store = (chosen.config or Config()).store.path
    asked = {"clip": str(clip), "what": "recording", "person": name, "reason": reason}
    with told(chosen.language):
        if to.exists() or to.is_symlink():
            raise Stop("export-exists", file=str(to))
        if not to.absolute().parent.is_dir():
            raise Stop("file-unwritable", file=str(to), reason="no folder is there to make it in")
        answer = Client(chosen.socket).post("/commands/view", asked)
        try:
            hand_out(answer["clip"], store / "clips" / answer["key"], answer["sha256"], to.absolute())
        except FileExistsError as error:
            raise Stop("export-exists", file=str(to)) from error
        except OSError as error:
            raise Stop("file-unwritable", file=str(to), reason=str(error)) from error
        tell("clip", "opened", {**answer, "file": str(to)}, chosen.language, as_json)


def _said(answer: Mapping[str, Any], language: str) -> dict[str, Any]:
    events = [{**one, "sentence": _sentence(one, language)} for one in answer["events"]]
    return {**{name: value for name, value in answer.items() if name != "done"}, "events": events}


def _print(answer: Mapping[str, Any], language: str) -> None:
    about = Table(box=None, pad_edge=False, show_header=False)
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    for key, value in _facts(answer, language):
        about.add_row(Text(word("clip", key, language)), Text(printable(value)))
    out = screen()
    out.print(about)
    out.print(_events(answer, language))
    for one in answer["findings"]:
        said = sentence(one["rule"], findings.params(one["facts"]), language, "findings")
        stands = word("findings", f"is-{one['state']}", language)
        out.print(escape(f"{one['finding']}: {said} ({stands})"))
    noted = {"event": answer["event"], **(answer["log"] or {"origin": "-", "size": 0})}
    typer.echo(fill(word("clip", "noted", language), noted))


def _facts(answer: Mapping[str, Any], language: str) -> Iterator[tuple[str, str]]:
    clip, digests = answer["clip"], answer["digests"] or {}
    yield "clip", f"{clip['clip']} ({word('clips', clip['state'], language)})"
    if clip["merged_into"]:
        yield "merged-into", str(clip["merged_into"])
    yield "recorder", clip["recorder"]
    yield "officer", clip["officer"]
    yield "name", clip["path"]
    yield "recorded", clip["recorded_at"] or "?"
    yield "docking", _docking(answer["docking"])
    yield "bytes", str(clip["size"])
    for name in ("sha256", "sm3"):
        if value := clip.get(name) or digests.get(name):
            yield name, value
    if digests.get("unreadable"):
        yield "unreadable", ", ".join(f"{at}+{length}" for at, length in digests["unreadable"])
    for file in answer["files"]:
        here = word("clip", "absent", language) if file["bytes"] is None else f"{file['bytes']} B"
        yield "file", f"{file['path']} ({here})"
    for one in answer["deliveries"]:
        problem = one["problem"]
        why = sentence(problem["key"], problem["params"], language) if problem else ""
        yield "delivery", f"{one['target']}: {word('deliveries', one['state'], language)} {why}".strip()


def _docking(docking: Mapping[str, Any] | None) -> str:
    if docking is None:
        return "?"
    ended = _when(docking["ended"]) if docking["ended"] else "…"
    return f"{docking['docking']}: {docking['slot']}, {_when(docking['started'])} – {ended}"


def _events(answer: Mapping[str, Any], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("event", "entry", "time", "clock", "what"):
        table.add_column(word("clip", column, language), overflow="fold")
    signed = (answer["log"] or {"size": 0})["size"]
    for one in answer["events"]:
        entry = str(one["seq"] - 1) if one["seq"] <= signed else word("clip", "unsigned", language)
        clock = word("clip", "trusted" if one["clock"] else "untrusted", language)
        cells = (str(one["seq"]), entry, _when(one["at"]), clock, _sentence(one, language))
        table.add_row(*map(Text, cells))
    return table


def _sentence(event: Mapping[str, Any], language: str) -> str:
    """In plain words, and behind them what people wrote."""
    facts = event["body"] if isinstance(event["body"], dict) else {}
    texts = {name: text or word("findings", "erased", language) for name, text in event["texts"].items()}
    kind, known = event["kind"], words(language)["events"]
    variants = (f"{kind}-{facts.get('what')}", f"{kind}-again" if facts.get("reason") else kind, kind)
    key = next((one for one in variants if one in known), kind)
    said = [sentence(key, {**facts, **texts}, language, "events")]
    return " — ".join([*said, *(printable(texts[name]) for name in ("reason", "text") if name in texts)])


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
