"""The custody report of an evidence package: one HTML page that prints well, without scripts or pictures.

Nothing that a recorder or a person wrote is read as HTML, or moves what stands beside it.
"""

import html as markup
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.catalog import findings
from agent.custody.clocks.corrected import Corrected
from agent.custody.evidence.dockings import Docking
from agent.custody.log.leaf import Event, moment
from agent.model import printable

#: (section of the words, key, parameters) → the sentence, in Chinese and in English.
Both = Callable[[str, str, Mapping[str, Any]], tuple[str, str]]

_STYLE = """
body { font: 10.5pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", sans-serif;
  margin: 2em auto; max-width: 62em; color: #000; background: #fff }
h1 { font-size: 16pt } h2 { font-size: 12.5pt; margin-top: 1.6em; break-after: avoid }
table { border-collapse: collapse; width: 100% }
tr { break-inside: avoid } thead { display: table-header-group }
th, td { border: .5pt solid #999; padding: .25em .5em; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
th { background: #eee; overflow-wrap: normal }
code { font-size: 8.5pt; overflow-wrap: anywhere } small { color: #444 }
td p { margin: 0 0 .4em }
@page { size: A4; margin: 18mm 15mm } @media print { body { margin: 0; max-width: none } }
"""


_LIMITS = ("limit-log", "limit-before", "limit-clock", "limit-key", "limit-told")


@dataclass(frozen=True, slots=True)
class Facts:
    """`clips`, `not_here`: of the catalog, with where they came from and why they did not;
    `stories`: the events of each clip; the others as in the files
    beside the report."""

    log: str
    case: str
    name: str
    reason: str
    clips: Sequence[Mapping[str, Any]]
    not_here: Sequence[Mapping[str, Any]]
    stories: Mapping[int, Sequence[Event]]
    findings: Sequence[Mapping[str, Any]]
    clocks: Sequence[Mapping[str, Any]]
    dockings: Sequence[Docking] = ()
    times: Sequence[Corrected] = ()
    approved: str = ""  # the name of the second person, if one had to or wanted to


def html(facts: Facts, both: Both) -> str:
    say, times = _Speech(both), {one.clip: one for one in facts.times}
    parts = [
        f"<h1>{say('title')}</h1>",
        _table(
            [],
            [
                [say("log"), _code(facts.log)],
                [say("case"), _text(facts.case)],
                [say("name"), _text(facts.name)],
                [say("reason"), _text(facts.reason)],
                [say("approved"), _text(facts.approved) if facts.approved else say("nobody")],
                [say("clips"), _text(len(facts.clips))],
            ],
        ),
        f"<p>{say('check')} <code>python3 data/verify.py PACKAGE --key VKEY</code></p>",
        *(_clip(clip, facts.stories[clip["id"]], times.get(clip["id"]), say) for clip in facts.clips),
        *_not_here(facts.not_here, say),
        f"<h2>{say('dockings')}</h2><p>{say('dockings-mean')}</p>",
        _dockings(facts.dockings, say),
        f"<h2>{say('findings')}</h2><p>{say('findings-mean')}</p>",
        _findings(facts.findings, say),
        f"<h2>{say('clocks')}</h2><p>{say('clocks-mean')}</p>",
        _clocks(facts.clocks, say),
        f"<h2>{say('limits')}</h2>",
        f"<ul>{''.join(f'<li>{say(key)}</li>' for key in _LIMITS)}</ul>",
    ]
    title = _text(both("report", "title", {})[0])
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="zh"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


class _Speech:
    """A word in both languages, as HTML."""

    def __init__(self, both: Both) -> None:
        self._both = both

    def __call__(self, key: str, section: str = "report", params: Mapping[str, Any] | None = None) -> str:
        zh, en = self._both(section, key, params or {})
        return f"{_text(zh)} <small>{_text(en)}</small>"


def _clip(clip: Mapping[str, Any], story: Sequence[Event], time: Corrected | None, say: _Speech) -> str:
    about = [
        [say("file"), _code(f"data/clips/{clip['key']}")],
        [say("sha256"), _code(clip["sha256"])],
        [say("size"), _text(clip["size"])],
        [say("recorder"), _text(clip["recorder"])],
        [say("officer"), _text(clip["officer"])],
        [say("recorded"), _text(clip["recorded_at"] or "")],
        *([[say("true-time"), _true_time(time, say)]] if time else []),
        [say("state"), say(str(clip["state"]), "clips")],
        [say("from"), _source(clip["fetched_from"], say)],
    ]
    events = [
        [
            _text(event.seq),
            _text(moment(event.at)),
            say("yes" if event.clock_trusted else "no"),
            _code(event.kind),
            _code(event.body),
        ]
        for event in story
    ]
    heads = [say(key) for key in ("event", "time", "trusted", "kind", "facts")]
    return f"<h2>{say('clip')} {_text(clip['id'])}</h2>{_table([], about)}<br>{_table(heads, events)}"


def _true_time(time: Corrected, say: _Speech) -> str:
    return "".join(f"<p>{say(key, params=params)}</p>" for key, params in time.sentences)


def _not_here(clips: Sequence[Mapping[str, Any]], say: _Speech) -> list[str]:
    told = [
        [
            _text(one["id"]),
            say(str(one["state"]), "clips"),
            "<br>".join(f"{_text(why['zh'])} <small>{_text(why['en'])}</small>" for why in one["reasons"]),
        ]
        for one in clips
    ]
    shown = _table([say(key) for key in ("clip", "state", "reason")], told)
    return [f"<h2>{say('not-here')}</h2>", shown if told else f"<p>{say('none')}</p>"]


def _source(target: str | None, say: _Speech) -> str:
    return say("from-centre", params={"target": target}) if target else say("from-store")


def _dockings(dockings: Sequence[Docking], say: _Speech) -> str:
    rows = []
    for one in dockings:
        body = json.loads(one.docked.body)
        rows.append(
            [
                _text(one.id),
                _text(body["slot"]),
                _text(body["recorder"]),
                f"{_text(moment(one.docked.at))}<br>{say('event')} {_text(one.docked.seq)}",
                say("yes" if one.docked.clock_trusted else "no"),
                _undocked(one, say),
                _text(", ".join(map(str, one.clips))),
            ]
        )
    heads = [say(key) for key in ("docking", "slot", "recorder", "docked-at", "trusted", "undocked", "clip")]
    return _table(heads, rows) if rows else f"<p>{say('none')}</p>"


def _undocked(docking: Docking, say: _Speech) -> str:
    if docking.undocked is None:
        return say("end-kept-back" if docking.kept_back else "goes-on")
    body = json.loads(docking.undocked.body)
    told = f"{_text(moment(docking.undocked.at))}<br>{say('event')} {_text(docking.undocked.seq)}"
    counts = say("handed-over", params={"clips": body["clips"], "bytes": body["bytes"]})
    return f"{told}<br>{_code(body['outcome'])}<br>{counts}"


def _findings(found: Sequence[Mapping[str, Any]], say: _Speech) -> str:
    rows = [
        [
            _text(one["finding"]),
            _text(one["recorder"]),
            f"{say(one['rule'], 'findings', findings.params(one['facts']))}"
            f"<br>{_code(json.dumps(one['facts'], ensure_ascii=False))}",
            say(f"is-{one['state']}", "findings"),
            _text(one["explanation"] or ""),
        ]
        for one in found
    ]
    heads = [say(key) for key in ("number", "recorder", "finding", "stands", "explanation")]
    return _table(heads, rows) if rows else f"<p>{say('none')}</p>"


def _clocks(clocks: Sequence[Mapping[str, Any]], say: _Speech) -> str:
    rows = [
        [
            _text(one["recorder"]),
            _text(moment(one["docked"])),
            _span(one["ahead_seconds"]),
            _span(one["drift_seconds_a_day"]),
            say("yes" if one["wrong"] else "no"),
        ]
        for one in clocks
    ]
    heads = [say(key) for key in ("recorder", "docked", "ahead", "drift", "wrong")]
    return _table(heads, rows) if rows else f"<p>{say('none')}</p>"


def _text(value: object) -> str:
    return markup.escape(printable(str(value)))


def _code(value: object) -> str:
    return f"<code>{_text(value)}</code>"


def _span(bounds: Sequence[float | None]) -> str:
    return " … ".join("∞" if end is None else f"{end:+.1f}" for end in bounds)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of cells that are HTML; without `heads` the first cell of each row is one."""
    lines = []
    for first, *others in rows:
        opening = f"<td>{first}</td>" if heads else f"<th>{first}</th>"
        lines.append(f"<tr>{opening}{''.join(f'<td>{cell}</td>' for cell in others)}</tr>")
    head = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in heads)}</tr></thead>" if heads else ""
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"
