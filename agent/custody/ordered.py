"""What an export came from: that it was asked for, and that a second person approved it."""

from collections.abc import Mapping
from typing import Any

from agent.custody.handed import Entries, Facts, body_of
from agent.custody.verifier import Invalid

ASKED, APPROVED = "export-asked", "export-approved"
OF_AN_EXPORT = (ASKED, APPROVED, "exported")  # the others of a package are of clips and dockings


class Ordered:
    """`events`: numbers of those entries; `approved`: that of the approval, and `approver`: the digest of who
    gave it; both None when nobody did."""

    def __init__(self, seq: int, body: Mapping[str, Any], entries: Entries) -> None:
        """Of the export, event `seq`. Raises Invalid where an entry is not there, or is about another one."""
        self.events = set[int]()
        self.approved, self.approver = body.get("approved"), None
        ask = self._earlier(seq, body.get("asked"), ASKED, entries)
        if ask is not None:
            if any(ask.get(key) != body.get(key) for key in ("case", "name", "reason")):
                raise Invalid(f"event {body['asked']} asked for another export")
            if not all(clip in _clips(ask) for clip in _clips(body)):
                raise Invalid(f"event {body['asked']} did not ask for all of these clips")
        given = self._earlier(seq, self.approved, APPROVED, entries)
        if given is not None:
            if ask is None or given.get("asked") != body["asked"] or not body["asked"] < self.approved:
                raise Invalid(f"event {self.approved} approved another export")
            if given.get("who") == ask.get("who"):
                raise Invalid(f"event {self.approved} is no second person's: the same user asked")
            self.approver = given.get("name")

    def _earlier(self, seq: int, number: Any, kind: str, entries: Entries) -> Facts | None:
        if number is None:
            return None
        if not isinstance(number, int) or number >= seq or entries.get(number, {}).get("kind") != kind:
            raise Invalid(f"entry {seq} came from event {number}, {kind}, whose entry is not there")
        self.events.add(number)
        return body_of(entries[number])


def _clips(body: Mapping[str, Any]) -> list[Any]:
    found = body.get("clips")
    return found if isinstance(found, list) else []
