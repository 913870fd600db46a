"""`recorder-station doctor`: can this machine be a station, is all well with it, and if not, what to do."""

import json
from collections.abc import Sequence

import typer
from rich.text import Text

from agent.cli.config import ConfigPath
from agent.cli.examine import examine
from agent.cli.examined import Finding, Level
from agent.cli.speech import JsonOption, LanguageOption, knows, screen, setting
from agent.status.plain import plain
from agent.words import remedy, sentence, word, words

_STYLES = {Level.OK: "green", Level.INFO: "cyan", Level.WARN: "yellow", Level.FAIL: "bold red"}


def doctor(config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Examine this machine: configuration, disk, udev, rights, clock, targets, rack, and what the agent says.

    Ends with 1 when something fails."""
    chosen = setting(config, lang)
    findings = list(examine(chosen))
    if as_json:
        print(json.dumps(facts(findings, chosen.language), ensure_ascii=False, indent=2))
    else:
        _print(findings, chosen.language)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)


def _print(findings: Sequence[Finding], language: str) -> None:
    console = screen()
    for finding in findings:
        level = Text(f"{word('severity', finding.level, language)}: ", style=_STYLES[finding.level])
        console.print(level + Text(_sentence(finding, language)), soft_wrap=True)
        if known := _knows(finding, language):
            console.print(Text(f"  {known}", style="cyan"), soft_wrap=True)
        if what := remedy(finding.key, language):
            console.print(Text(f"  → {what}", style="dim"), soft_wrap=True)


def facts(findings: Sequence[Finding], language: str) -> list[dict[str, object]]:
    """What `--json` prints."""
    return [_object(finding, language) for finding in findings]


def _object(finding: Finding, language: str) -> dict[str, object]:
    return {
        "check": finding.check,
        "level": finding.level,
        "key": finding.key,
        "params": plain(finding.params),
        "sentence": _sentence(finding, language),
        "remedy": remedy(finding.key, language),
        "acknowledged": finding.issue["acknowledged"] if finding.issue else None,
    }


def _knows(finding: Finding, language: str) -> str:
    return knows(finding.issue, language) if finding.issue else ""


def _sentence(finding: Finding, language: str) -> str:
    section = "doctor" if finding.key in words(language)["doctor"] else "problems"
    return sentence(finding.key, finding.params, language, section)
