"""What the agent is asked about an export: whether it may be, who approves, and that it is made."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, chosen, door
from agent.custody.evidence import asking
from agent.custody.log import configured
from agent.custody.texts import Texts, text_of
from agent.errors import Reject

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
MOST = 2_000  # clips of one package: an entry of the log, and the arguments here, name each of them
LONGEST_CASE = 64  # characters
_CLIPS = re.compile(r"[1-9][0-9]{0,17}(,[1-9][0-9]{0,17})*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def commands(catalog: Catalog, texts: Texts) -> dict[str, Command]:
    """By name. `person` and `reason` are kept beside the log, as texts that can be erased."""

    def ask(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        clips = _clips(arguments.get("clips", ""))
        said = {name: text_of(arguments.get(name, ""), name) for name in ("person", "reason")}
        case = case_of(arguments.get("case", ""))
        chosen.by_id(catalog.read(), clips)
        # The texts first: an entry that speaks of one that was never kept could not be understood.
        name, reason = _kept(texts, said["person"]), _kept(texts, said["reason"])
        seq = catalog.write(lambda tx: asking.make(tx, clips, case, name, reason, who))
        return {
            "asked": seq,
            "approval": configured.approval_required(catalog.read()),
            "within": asking.VALID,
        }

    def look(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        db = catalog.read()
        ask = asking.of(db, _asked(arguments))
        hinders: Mapping[str, Any] = {}
        try:
            asking.ready(db, ask, who)
        except Reject as error:
            hinders = {"key": error.key, "params": error.params}
        told = {"clips": list(ask.clips), "case": ask.case, "who": ask.who, "hinders": hinders}
        return {**told, "person": texts.read(ask.name) or "", "reason": texts.read(ask.reason) or ""}

    def decide(arguments: Mapping[str, str], who: str, *, approved: bool) -> Mapping[str, Any]:
        seq, person = _asked(arguments), text_of(arguments.get("person", ""), "person")
        try:
            asking.decidable(asking.of(catalog.read(), seq), texts, person, who)
        except Reject as error:
            facts = {"asked": seq, "reason": error.key, "who": who}
            catalog.write(lambda tx: door.note(tx, "export-not-approved", None, facts))
            raise
        name = _kept(texts, person)

        def work(tx: Any) -> int:
            ask = asking.of(tx, seq)
            asking.decidable(ask, texts, person, who)  # somebody else may have been quicker
            return asking.decide(tx, ask, name, who, approved=approved)

        return {"event": catalog.write(work), "within": asking.VALID}

    def export(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        seq, clips = _asked(arguments), _clips(arguments.get("clips", ""))
        contents = arguments.get("contents", "")
        if not _DIGEST.fullmatch(contents):
            raise Reject("bad-parameter", name="contents", expected="a SHA-256 in hex")

        def work(tx: Any) -> Mapping[str, Any]:
            ask = asking.of(tx, seq)
            asking.ready(tx, ask, who)
            if not set(clips) <= set(ask.clips):
                raise Reject("bad-parameter", name="clips", expected="those that were asked for")
            facts = {"clips": clips, "case": ask.case, "name": ask.name, "reason": ask.reason}
            told = {"contents": contents, "asked": seq, "approved": ask.approved or None, "who": who}
            number = door.note(tx, "exported", None, {**facts, **told})
            return {
                "event": number,
                "name": ask.name,
                "reason": ask.reason,
                "approver": asking.approver(tx, ask),
            }

        return catalog.write(work)

    return {
        "export-ask": ask,
        "export-look": look,
        "export-approve": lambda arguments, who: decide(arguments, who, approved=True),
        "export-refuse": lambda arguments, who: decide(arguments, who, approved=False),
        "export": export,
    }


def case_of(text: str) -> str:
    """A case's number, "" without one. Raises Reject `bad-parameter`."""
    if len(text) > LONGEST_CASE or not text.isprintable():
        raise Reject("bad-parameter", name="case", expected=f"at most {LONGEST_CASE} characters on one line")
    return text.strip()


def _kept(texts: Texts, text: str) -> str:
    try:
        return texts.keep(text)
    except OSError as error:
        raise Reject("text-not-kept", reason=error.strerror or str(error)) from error


def _asked(arguments: Mapping[str, str]) -> int:
    text = arguments.get("asked", "")
    if not _NUMBER.fullmatch(text):
        raise Reject("export-not-asked", asked=text)
    return int(text)


def _clips(text: str) -> list[int]:
    clips = [int(one) for one in text.split(",")] if _CLIPS.fullmatch(text) else []
    if not 0 < len(clips) <= MOST or clips != sorted(set(clips)):
        raise Reject("bad-parameter", name="clips", expected=f"1–{MOST} ids, rising")
    return clips
