"""Figures, and contests from which they come: all contestants in each round, on the same files, cold."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.benchmarks.machine import Cold, scratch

Contestant = Callable[[Path], float]
"""Works in an empty folder; returns seconds."""


class BenchError(Exception):
    """What was to be measured did not do its work: then its time says nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`runs` in `unit`; × is our time over the peer's, one ratio for each round. None where the peer is not
    installed."""

    name: str
    what: str
    unit: str
    runs: Sequence[float]
    limit: float | None = None
    at_least: bool = False  # the limit is a lower one
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def verdict(self) -> str:
        if not self.runs:
            return "not here"
        if self.limit is None:
            return ""
        good = self.median >= self.limit if self.at_least else self.median <= self.limit
        return "ok" if good else "over" if not self.at_least else "under"

    def as_json(self, judged: bool) -> dict[str, Any]:
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "median": self.median if self.runs else None,
            "min": min(self.runs, default=None),
            "max": max(self.runs, default=None),
            "runs": list(self.runs),
            "limit": self.limit,
            "limit_is": "at least" if self.at_least else "at most",
            "verdict": self.verdict if judged else "",
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Bench:
    folder: Path  # on the disk that is measured
    rounds: int
    quick: bool  # everything small: shows that it works, says nothing of speed
    cold: Cold
    libraries: str = sys.executable  # a Python that may have boto3 and tuspy

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def contest(self, name: str, contestants: Mapping[str, Contestant]) -> dict[str, list[float]]:
        """Seconds of each contestant, round by round. Who begins changes from round to round."""
        names = list(contestants)
        seconds: dict[str, list[float]] = {who: [] for who in names}
        for turn in range(self.rounds):
            for who in (*names[turn % len(names) :], *names[: turn % len(names)]):
                with scratch(self.folder, who) as folder:
                    self.cold.drop()
                    seconds[who].append(contestants[who](folder))
            told = ", ".join(f"{who} {times[-1]:.2f} s" for who, times in seconds.items())
            self.say(f"{name} {turn + 1}/{self.rounds}: {told}")
        return seconds


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def seconds_note(seconds: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{who} {statistics.median(times):.2f} s" for who, times in seconds.items())
