"""That something is exported, kept before it is: who gets what, and why."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, chosen, door
from agent.custody.texts import Texts, text_of
from agent.errors import Reject

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
MOST = 2_000  # clips of one package: an entry of the log, and the arguments here, name each of them
LONGEST_CASE = 64  # characters
_CLIPS = re.compile(r"[1-9][0-9]{0,17}(,[1-9][0-9]{0,17})*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def commands(catalog: Catalog, texts: Texts) -> dict[str, Command]:
    """By name. `person` and `reason` are kept beside the log, as texts that can be erased."""

    def export(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        clips = _clips(arguments.get("clips", ""))
        said = {name: text_of(arguments.get(name, ""), name) for name in ("person", "reason")}
        case, contents = case_of(arguments.get("case", "")), arguments.get("contents", "")
        if not _DIGEST.fullmatch(contents):
            raise Reject("bad-parameter", name="contents", expected="a SHA-256 in hex")
        chosen.by_id(catalog.read(), clips)
        # The texts first: an entry that speaks of one that was never kept could not be understood.
        try:
            name, reason = texts.keep(said["person"]), texts.keep(said["reason"])
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error
        facts = {"clips": clips, "case": case, "name": name, "reason": reason, "contents": contents}
        seq = catalog.write(lambda tx: door.note(tx, "exported", None, {**facts, "who": who}))
        return {"event": seq, "name": name, "reason": reason}

    return {"export": export}


def case_of(text: str) -> str:
    """A case's number, "" without one. Raises Reject `bad-parameter`."""
    if len(text) > LONGEST_CASE or not text.isprintable():
        raise Reject("bad-parameter", name="case", expected=f"at most {LONGEST_CASE} characters on one line")
    return text.strip()


def _clips(text: str) -> list[int]:
    clips = [int(one) for one in text.split(",")] if _CLIPS.fullmatch(text) else []
    if not 0 < len(clips) <= MOST or clips != sorted(set(clips)):
        raise Reject("bad-parameter", name="clips", expected=f"1–{MOST} ids, rising")
    return clips
