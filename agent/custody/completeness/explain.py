"""What a custodian may do about a finding: say what happened. It stays, with who said so."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, findings
from agent.custody.texts import LONGEST, Texts
from agent.errors import Reject

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]


def commands(catalog: Catalog, texts: Texts) -> dict[str, Command]:
    """By name."""

    def explain(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        finding = _number(arguments.get("finding", ""))
        text = arguments.get("text", "").strip()
        if not 0 < len(text) <= LONGEST:
            raise Reject("bad-parameter", name="text", expected=f"1–{LONGEST} characters")
        findings.explainable(catalog.read(), finding)
        # The text first: an entry that speaks of one that was never kept could not be understood.
        try:
            digest = texts.keep(text)
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error
        catalog.write(lambda tx: findings.explain(tx, finding, who, digest))
        return {}

    return {"finding-explain": explain}


def lister(catalog: Catalog, texts: Texts) -> Callable[[bool, int, int], list[dict[str, Any]]]:
    """(every one, above this number, at most so many) → findings, with their explanations as far as these
    were not erased."""

    def listed(every: bool, after: int, limit: int) -> list[dict[str, Any]]:
        rows = findings.rows(catalog.read(), every=every, after=after, limit=limit)
        return [{**row, "explanation": texts.read(row.pop("text"))} for row in rows]

    return listed


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Reject("no-such-finding", finding=text)
    return int(text)
