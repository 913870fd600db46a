"""What a scrape says, and what queries ask for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: What is no name of a metric in a query: texts, matchers, ranges, labels that are grouped by.
_QUOTED = re.compile(r'"[^"]*"')
_ASIDE = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left)\s*\([^)]*\)")
_NAME = re.compile(r"\b[a-z_]+\b(?!\s*\()")
_KEYWORDS = {"and", "or", "unless", "bool", "offset"}
_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


@dataclass
class Scrape:
    """By the name of the samples, as a query has it."""

    types: dict[str, str] = field(default_factory=dict)
    samples: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        """Of the one sample of ours with just these labels."""
        [found] = [value for have, value in self.samples[f"recorder_station_{name}"] if have == labels]
        return found

    def known(self, name: str) -> bool:
        return bool(self.samples[f"recorder_station_{name}"])


def parsed(text: str) -> Scrape:
    scrape = Scrape()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            scrape.types[name], scrape.samples[name] = kind, []
        elif not line.startswith("#"):
            found = _SAMPLE.fullmatch(line)
            assert found, line
            scrape.samples[found[1]].append((dict(_LABEL.findall(found[2] or "")), float(found[3])))
    return scrape


def metrics_in(query: str) -> set[str]:
    """The metrics that a query asks for."""
    return set(_NAME.findall(_ASIDE.sub("", _QUOTED.sub("", query)))) - _KEYWORDS


def queries(dashboard: Any) -> Iterator[str]:
    """Every query of a dashboard, wherever it stands in it."""
    if isinstance(dashboard, dict):
        for key, value in dashboard.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from queries(value)
    elif isinstance(dashboard, list):
        for value in dashboard:
            yield from queries(value)
