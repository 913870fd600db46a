"""`recorder-station retention`: how long recordings are kept, and why."""

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside
from agent.catalog.rulesets import RuleRow
from agent.cli.asking import NameOption, ReasonOption, done
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.filling import filling
from agent.cli.speech import JsonOption, LanguageOption, Setting, screen, setting, told
from agent.config import Config
from agent.errors import Stop
from agent.ingest.store import disk
from agent.retention import guards
from agent.retention.book import Book, Standing, left, standing
from agent.retention.clockwatch import next_one_trusts
from agent.retention.explain import Reading
from agent.retention.explain import explain as explain_clip
from agent.retention.forecast import forecast
from agent.retention.plan import Going
from agent.retention.plan import plan as plan_all
from agent.words import fill, sentence, word
from agent.words.shown import duration, size

app = typer.Typer(help="How long recordings are kept.", no_args_is_help=True)
_DAY = 86400.0


@app.command()
def explain(
    clip: Annotated[int, typer.Argument(min=1, help="The clip's id.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Tell which rules match a clip, which one wins, when it goes, and why it has not gone. Reads only."""
    chosen = setting(config, lang)
    with told(chosen.language), beside.reading(_store(chosen)) as db:
        targets = frozenset((chosen.config or Config()).targets)
        keeping, trusted = Book().keeping(db), _trusted(Client(chosen.socket), db)
        reading = explain_clip(db, clip, keeping, time.time(), trusted, targets)
    if as_json:
        print(json.dumps(_facts(reading), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_told(reading, chosen.language)))


@app.command()
def plan(
    days: Annotated[float, typer.Option("--days", min=0, help="So far ahead.")] = 7,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Rehearse: whose local copies may go in the next days. Reads only; nothing goes."""
    chosen, now = setting(config, lang), time.time()
    with told(chosen.language), beside.reading(_store(chosen)) as db:
        keeping, settings = Book().keeping(db), chosen.config or Config()
        going = list(plan_all(db, keeping, now, days * _DAY))
        releasing = settings.retention.release and _trusted(Client(chosen.socket), db)
        coming = forecast(db, keeping, now, releasing=releasing)
    if as_json:
        rows = [
            {"clip": one.row.id, "at": _at(one.at), "rule": one.rule, "size": one.row.size} for one in going
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if going:
        screen().print(_table(going, chosen.language))
    total = {"clips": len(going), "bytes": sum(one.row.size for one in going), "days": days}
    typer.echo(fill(word("retention", "planned", chosen.language), total))
    if coming is not None:
        free, _, reserve = disk(settings.store.path, settings.store.reserve)
        typer.echo(filling(coming.per_day, coming.days(free, reserve), chosen.language))


@app.command()
def rules(as_json: JsonOption = False, config: ConfigPath = None, lang: LanguageOption = None) -> None:
    """Show the rules in force, and those that wait: what they shorten, and how many clips. Reads only."""
    chosen, now = setting(config, lang), time.time()
    with told(chosen.language), beside.reading(_store(chosen)) as db:
        sets = standing(db)
        effect = Book().effect(db, now) if sets.waiting else None
        seconds = left(db, sets.waiting, guards.in_force(db).cooling_off, now) if sets.waiting else 0.0
    waits: dict[str, int | None] | None = None
    if effect and sets.waiting:
        waits = {"earlier": effect.earlier, "of": effect.clips, "at_once": effect.sooner}
        waits |= {"seconds": None if math.isinf(seconds) else round(seconds)}
    if as_json:
        print(json.dumps({**_sets(sets), "effect": waits}, ensure_ascii=False, indent=2))
        return
    for row in (*sets.former, *([sets.latest] if sets.latest else [])):
        if row:
            key = "rules-waiting" if row is sets.waiting else "rules-in-force"
            typer.echo(fill(word("retention", key, chosen.language), {"time": _at(row.at)}))
            screen().print(_rules(row, chosen.language))
    if waits:
        shown = {**waits, "left": "?" if waits["seconds"] is None else duration(waits["seconds"])}
        typer.echo(fill(word("retention", "effect", chosen.language), shown))


@app.command()
def confirm(
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Let the rules that wait come into force, although they shorten something."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/rules-confirm", {"person": name, "reason": reason})
        done(answer, "rules-confirm", chosen.language, as_json)


@app.command("confirm-clock")
def confirm_clock(
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Say that the station's clock is right, after it jumped, or where no time service keeps it."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/clock-confirm", {"person": name, "reason": reason})
        done({"time": _at(answer["now"])}, "clock-confirmed", chosen.language, as_json)


def _trusted(client: Client, db: sqlite3.Connection) -> bool:
    """Whether the agent believes the clock; where none answers, whether one that starts now would."""
    try:
        return bool(client.get("/status")["clock_trusted"])
    except Stop:
        return next_one_trusts(db)


def _store(chosen: Setting) -> Any:
    return (chosen.config or Config()).store.path


def _at(when: float | None) -> str | None:
    """None: for ever, or unknown."""
    if when is None or math.isinf(when):
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when))


def _facts(reading: Reading) -> dict[str, Any]:
    return {
        "clip": reading.row.id,
        "state": reading.row.state,
        "counts_from": {"at": _at(reading.began.at), "by": reading.began.by},
        "rules": [
            {"rule": rule.name, "class": rule.gives, "until": _at(until)} for rule, until in reading.rules
        ],
        "centre": {"until": _at(reading.centre.until), "rule": reading.centre.by and reading.centre.by.name},
        "here": {"until": _at(reading.here.until), "rule": reading.here.by and reading.here.by.name},
        "holds": [hold.id for hold in reading.holds],
        "hinders": [{"key": one.key, "params": dict(one.params)} for one in reading.hinders],
    }


def _told(reading: Reading, language: str) -> Iterator[str]:
    def say(key: str, **params: Any) -> str:
        return fill(word("retention", key, language), params)

    def when(at: float | None) -> str:
        return (
            say("for-ever")
            if at is None or math.isinf(at)
            else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
        )

    state = word("clips", reading.row.state, language)
    yield say("clip", clip=reading.row.id, state=state, size=size(reading.row.size))
    yield say(f"by-{reading.began.by}", time=when(reading.began.at))
    for rule, until in reading.rules:
        yield say("matches", rule=rule.name, gives=rule.gives, time=when(until))
    if reading.centre.by:
        yield say("wins", rule=reading.centre.by.name, time=when(reading.centre.until))
    else:
        yield say("no-rule")
    yield from (sentence(one.key, _readable(one.params, when), language) for one in reading.hinders)
    if not reading.hinders:
        yield say("may-go")


def _readable(params: Any, when: Any) -> dict[str, Any]:
    return {name: when(value) if name == "until" else value for name, value in params.items()}


def _table(going: list[Going], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "officer", "recorder", "recorded", "size"):
        table.add_column(word("page", column, language), overflow="fold")
    for column in ("goes", "rule"):
        table.add_column(word("retention", column, language), overflow="fold")
    for one in going:
        row = one.row
        cells = [
            str(row.id),
            row.officer,
            row.recorder,
            row.recorded_at or "",
            size(row.size),
            _at(one.at) or "",
            one.rule,
        ]
        table.add_row(*map(Text, cells))
    return table


def _sets(sets: Standing) -> dict[str, Any]:
    told = [
        {"since": _at(row.at), "rules": row.rules, "state": row.state}
        for row in (*sets.former, *([sets.latest] if sets.latest else []))
    ]
    return {"sets": told, "waiting": sets.waiting is not None}


def _rules(row: RuleRow, language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("rule", "class", "centre", "here", "conditions"):
        table.add_column(word("retention", column, language), overflow="fold")
    for rule in row.rules:
        ever = word("retention", "for-ever", language)
        centre = word("retention", "with-case", language) if rule.get("with_case") else rule["centre"]
        periods = [
            one if isinstance(one, str) else ever if one is None else duration(one)
            for one in (centre, rule["local"])
        ]
        shown = ("important", "category", "unit", "source", "case", "older_than")
        conditions = ", ".join(f"{name}: {_condition(rule[name])}" for name in shown if name in rule)
        table.add_row(*map(Text, [rule["name"], rule["gives"], *periods, conditions]))
    return table


def _condition(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return duration(value) if isinstance(value, float) else str(value).lower()
