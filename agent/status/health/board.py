"""Asks every check, and remembers since when each issue stands."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from agent.status.health.issue import Check, Issue, Severity
from agent.status.remembered import Remembered

log = logging.getLogger(__name__)

_HOLDS_SECONDS = 1.0


class HealthBoard:
    """`checks` by name. A check that raises becomes an issue itself and hides no other."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        mark: Callable[[Sequence[Issue]], Sequence[Issue]] = lambda issues: issues,
    ) -> None:
        """`mark` tells who knows of which."""
        self._checks = dict(checks)
        self._wall = wall
        self._mark = mark
        self._standing: dict[tuple[str, str], float] = {}
        self._evaluated = Remembered(self._evaluate, _HOLDS_SECONDS, monotonic)

    def issues(self) -> list[Issue]:
        """Critical ones first, then as the checks are listed."""
        return list(self._evaluated())

    def _evaluate(self) -> list[Issue]:
        now = self._wall()
        found = self._marked([issue for name in self._checks for issue in self._ask(name)])
        # Only issues that still stand are kept: one that comes back later is a new one.
        self._standing = {identity: self._standing.get(identity, now) for identity in map(_identity, found)}
        dated = [replace(issue, since=self._standing[_identity(issue)]) for issue in found]
        return sorted(dated, key=lambda issue: issue.severity is not Severity.CRITICAL)

    def _ask(self, name: str) -> Iterator[Issue]:
        try:
            found = list(self._checks[name]())
        except Exception as error:  # a blind spot is shown, it neither crashes nor hides the rest
            failed = _failed(name, error)
            if self._is_new(failed):
                log.exception("health check %s failed", name)
            yield failed
        else:
            yield from found

    def _marked(self, found: list[Issue]) -> list[Issue]:
        try:
            return list(self._mark(found))
        except Exception as error:  # then nobody seems to know of them, which alarms too many people at most
            failed = _failed("acknowledged", error)
            if self._is_new(failed):
                log.exception("nobody can tell who knows of which issue")
            return [*found, failed]

    def _is_new(self, issue: Issue) -> bool:
        """What failed is logged once: this runs every second while a page is open."""
        return _identity(issue) not in self._standing


def _failed(name: str, error: Exception) -> Issue:
    params = {"check": name, "error": str(error) or repr(error)}
    return Issue("check-failed", Severity.WARNING, params, name)


def _identity(issue: Issue) -> tuple[str, str]:
    return issue.key, issue.subject
