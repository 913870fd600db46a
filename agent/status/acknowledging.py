"""Issues that somebody knows of: they stay listed, with who knows of them, until they are over.

One that went away, or became more severe, is nobody's knowledge any more: it comes back as a new one.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.catalog import Catalog, acknowledged
from agent.catalog.acknowledged import GONE, WORSE, Acknowledgement
from agent.errors import CatalogError, Reject
from agent.model import printable
from agent.status.health.issue import Acknowledged, Issue, Severity

log = logging.getLogger(__name__)

#: Seconds from the start on in which an issue may be found again; before, that it is not there means nothing.
_PATIENCE = 900.0
_RANK = list(Severity)  # the worst is the last
#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
#: (arguments, names of those that people write) → as entries tell them. Raises Reject.
Said = Callable[..., Mapping[str, str]]


class Acknowledging:
    def __init__(
        self,
        catalog: Catalog,
        said: Said,
        read: Callable[[str], str | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`said` keeps what people write, `read` gives it back, None when it was erased."""
        self._catalog, self._said, self._read, self._monotonic = catalog, said, read, monotonic
        self._began = monotonic()
        self._met: set[int] = set()  # those whose issue stood since the start
        self._over: dict[int, str] = {}  # why they are over, also while that is not committed yet
        self._writer: threading.Thread | None = None

    def mark(self, issues: Sequence[Issue]) -> list[Issue]:
        """The same, with who knows of each. Never waits: it is called at every look at the station."""
        by_issue = {(issue.key, issue.subject): issue for issue in issues}
        known = dict[tuple[str, str], Acknowledged]()
        ended = dict[int, str]()
        for one in acknowledged.standing(self._catalog.read()):
            issue = by_issue.get((one.key, one.subject))
            if why := self._over.get(one.id) or self._ends(one, issue):
                ended[one.id] = why
            elif issue is not None:
                self._met.add(one.id)
                known[one.key, one.subject] = self._told(one)
        self._over = ended
        if ended and (self._writer is None or not self._writer.is_alive()):
            self._writer = threading.Thread(target=self._end, args=(ended,), name="acknowledged", daemon=True)
            self._writer.start()
        return [replace(one, acknowledged=known.get((one.key, one.subject))) for one in issues]

    def commands(self, issues: Callable[[], Sequence[Issue]]) -> dict[str, Command]:
        """By name. `issues`: as they stand now, marked."""

        def acknowledge(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
            """`key`, `person`, `note`; `subject`, where several of one key stand."""
            issue = _chosen(issues(), arguments.get("key", ""), arguments.get("subject"))
            facts = {**self._said(arguments, "person", "note"), "who": who}
            self._catalog.write(
                lambda tx: acknowledged.put(tx, issue.key, issue.subject, issue.severity.value, facts)
            )
            return {"key": issue.key, "subject": issue.subject}

        return {"issue-acknowledge": acknowledge}

    def _ends(self, one: Acknowledgement, issue: Issue | None) -> str:
        if issue is None:
            late = self._monotonic() - self._began > _PATIENCE
            return GONE if one.id in self._met or late else ""
        return WORSE if _RANK.index(issue.severity) > _RANK.index(Severity(one.severity)) else ""

    def _told(self, one: Acknowledgement) -> Acknowledged:
        return Acknowledged(self._read(one.name) or one.who, one.at, self._read(one.note) or "")

    def _end(self, ended: Mapping[int, str]) -> None:
        def work(tx: Any) -> None:
            for number, why in ended.items():
                acknowledged.end(tx, number, why)

        try:
            self._catalog.write(work)
        except CatalogError as error:  # tried again at the next look
            log.error("it cannot be noted that an acknowledgement has ended: %s", error)


def _chosen(issues: Sequence[Issue], key: str, subject: str | None) -> Issue:
    """Raises Reject."""
    found = [issue for issue in issues if issue.key == key and subject in (None, printable(issue.subject))]
    if not found:
        raise Reject("no-such-issue", issue=key)
    if len(found) > 1:
        raise Reject("which-issue", issue=key, subjects=[issue.subject for issue in found])
    [issue] = found
    if issue.acknowledged is not None:
        raise Reject("issue-acknowledged", issue=key, by=issue.acknowledged.by)
    return issue
