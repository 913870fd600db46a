"""What people may have retention do. Arguments are texts, as the narrow door takes them."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, chosen, holds, labels
from agent.errors import Reject
from agent.retention import arguments as read
from agent.retention import guards, persons, sheet
from agent.retention.book import Book, enforce, left, standing
from agent.retention.clockwatch import ClockWatch, suspended
from agent.retention.labelling import Labelling
from agent.retention.locks import lock_at_centre
from agent.retention.persons import Texts

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
MOST = 10_000  # clips that one command labels
MOST_SHORTER = 2_000  # of which it lets some go earlier: the entry of the ask names them


class Commands:
    def __init__(
        self,
        catalog: Catalog,
        book: Book,
        texts: Texts,
        clock: ClockWatch,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed`: what is kept for how long may be another now."""
        self._catalog, self._book, self._texts = catalog, book, texts
        self._clock, self._changed = clock, changed
        self._actions: dict[
            str, Callable[[sqlite3.Connection, Mapping[str, Any], Mapping[str, Any]], int]
        ] = {
            "hold-lift": lambda tx, of, facts: holds.lift(tx, of["hold"], facts),
            "case-close": _close,
            "rules-confirm": lambda tx, of, facts: enforce(tx, of["ruleset"], facts),
            "label": lambda tx, of, facts: self._labelling(
                of["said"], {**facts, "role": "custodian"}, shortens=True
            ).put(tx, of["clips"]),
        }

    def all(self) -> dict[str, Command]:
        return {
            "label": self.label,
            "label-lines": self.label_lines,
            "hold-set": self.hold,
            "hold-lift": self.lift,
            "case-close": self.close,
            "case-open": self.reopen,
            "rules-confirm": self.confirm,
            "clock-confirm": self.confirm_clock,
            "agree": self.agree,
        }

    def label(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`clips` or `docking`; any of the fields; `person`, `reason`; `role`: officer, who may only lengthen
        a period, or custodian."""
        said = {field: read.field(field, arguments[field]) for field in labels.FIELDS if field in arguments}
        if not said:
            raise Reject("bad-parameter", name="label", expected="one of " + ", ".join(labels.FIELDS))
        role = "officer" if arguments.get("role") == "officer" else "custodian"
        clips = self._clips(self._catalog.read(), arguments)
        try:
            self._labelling(said, {}, shortens=False).check(self._catalog.read(), clips)
        except Reject as error:
            if error.key != "label-shortens" or role == "officer":
                raise
            return self._shorten(clips, said, arguments, who)
        facts = {**self._by(arguments, who), "role": role}
        done = self._labelling(self._with_note(said), facts, shortens=False).of_all(self._catalog, clips)
        self._changed()
        return {"clips": len(clips), "changed": done}

    def label_lines(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`lines`: JSON, as `sheet.lines` reads it; `check`: what would be refused is told, and nothing said.
        `person`, `reason`, `role` as with `label`. What takes two persons is refused."""
        db, officer = self._catalog.read(), arguments.get("role") == "officer"
        good, refused = sheet.lines(db, arguments.get("lines", ""))
        shortens = not officer and not guards.in_force(db).two_persons
        changed = 0
        if "check" in arguments:
            refused |= sheet.check(db, self._book, good, shortens=shortens)
        else:
            facts = {**self._by(arguments, who), "role": "officer" if officer else "custodian"}
            noted = {at: self._noted(db, line) for at, line in good.items()}
            changed, late = self._catalog.write(
                lambda tx: sheet.put(tx, self._book, noted, facts, shortens=shortens)
            )
            refused |= late
            self._changed()
        return {
            "clips": len(good),
            "changed": changed,
            "refused": [_line(at, refused[at], officer=officer) for at in sorted(refused)],
        }

    def _shorten(
        self, clips: list[int], said: Mapping[str, str], arguments: Mapping[str, str], who: str
    ) -> Mapping[str, Any]:
        """Labels that let a clip go earlier are no one person's matter either."""
        self._labelling(said, {}, shortens=True).check(self._catalog.read(), clips)
        if len(clips) > MOST_SHORTER:
            raise Reject("bad-parameter", name="clips", expected=f"at most {MOST_SHORTER} that go earlier")
        of = {"clips": clips, "said": self._with_note(said)}
        done = self._do("label", of, arguments, who)
        return {name: done[name] for name in ("asked", "event") if name in done} | {
            "clips": len(clips),
            "changed": len(clips),
        }

    def _labelling(self, said: Mapping[str, str], facts: Mapping[str, Any], *, shortens: bool) -> Labelling:
        return Labelling(self._book, said, facts, shortens)

    def _with_note(self, said: Mapping[str, str]) -> dict[str, str]:
        return {**said, "note": self._keep(said["note"])} if said.get("note") else dict(said)

    def _noted(self, db: sqlite3.Connection, line: sheet.Line) -> sheet.Line:
        """A note that is there already is not kept anew: its digest would be another."""
        before = labels.of(db, line.clip)["note"]
        if before and line.said.get("note") == self._texts.read(before):
            return sheet.Line(line.clip, {**line.said, "note": before})
        return sheet.Line(line.clip, self._with_note(line.said))

    def hold(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`scope`, `value`; of an officer also `since` and `until`. Returns its number, and how many clips
        that are known it covers: none is no fault, it may be for what is still to come."""
        hold = read.hold(arguments)
        if hold["scope"] == holds.CLIP:
            with contextlib.suppress(Reject):  # it is still to come
                hold["value"] = str(chosen.by_id(self._catalog.read(), [int(hold["value"])])[0].id)
        facts = self._by(arguments, who)
        number = self._catalog.write(lambda tx: holds.place(tx, hold, facts))
        clips = lock_at_centre(self._catalog, holds.in_force_one(self._catalog.read(), number))
        self._changed()
        return {"hold": number, "clips": clips}

    def lift(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        number = read.number(arguments, "hold")
        holds.in_force_one(self._catalog.read(), number)
        return self._do("hold-lift", {"hold": number}, arguments, who)

    def close(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        number = read.short(arguments.get("case", ""), "case")
        if labels.is_closed(self._catalog.read(), number):
            raise Reject("case-closed", case=number)
        return self._do("case-close", {"case": number}, arguments, who)

    def reopen(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        number, facts = read.short(arguments.get("case", ""), "case"), self._by(arguments, who)
        done = self._catalog.write(lambda tx: labels.case(tx, number, False, facts))
        if done is None:
            raise Reject("case-open", case=number)
        self._changed()
        return {"event": done}

    def confirm(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """The rules that wait."""
        return self._do("rules-confirm", {"ruleset": self._ready()}, arguments, who)

    def confirm_clock(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """The clock is right, although it jumped, or no time service keeps it."""
        if not suspended(self._catalog.read()) and self._clock.now() is not None:
            raise Reject("clock-believed")
        done, now = self._clock.confirm(self._by(arguments, who))
        self._changed()
        return {"event": done, "now": now}

    def agree(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """The second person. What was asked for is done in the same commit."""
        one = persons.asked(self._catalog.read(), read.number(arguments, "asked"))
        person = read.text(arguments, "person")
        persons.second(self._texts, one, person, who)
        if one.what == "rules-confirm" and self._ready() != one.of["ruleset"]:
            raise Reject("no-rules-wait")
        name = self._keep(person)

        def work(tx: sqlite3.Connection) -> int:
            agreed = persons.agree(tx, one, name, who)
            facts = {
                "name": one.name,
                "reason": one.reason,
                "who": one.who,
                "asked": one.seq,
                "agreed": agreed,
            }
            return self._actions[one.what](tx, one.of, facts)

        done = self._catalog.write(work)
        self._changed()
        return {"event": done, "what": one.what, **one.of}

    def _do(
        self, what: str, of: Mapping[str, Any], arguments: Mapping[str, str], who: str
    ) -> Mapping[str, Any]:
        """At once, or when a second person agrees."""
        facts = self._by(arguments, who)

        def work(tx: sqlite3.Connection) -> Mapping[str, Any]:
            if guards.in_force(tx).two_persons:
                return {"asked": persons.ask(tx, what, of, facts["name"], facts["reason"], who)}
            return {"event": self._actions[what](tx, of, facts)}

        done = self._catalog.write(work)
        self._changed()
        return {**done, **of}

    def _ready(self) -> int:
        """The rules that wait and may come into force. Raises Reject that says what is missing."""
        db, now = self._catalog.read(), time.time()
        guard = guards.in_force(db)
        waiting = standing(db).waiting
        if waiting is None:
            raise Reject("no-rules-wait")
        if self._clock.now() is None:
            raise Reject("rules-clock-untrusted")
        if (seconds := left(db, waiting, guard.cooling_off, now)) > 0:
            raise Reject("rules-cool-off", seconds=seconds)
        found = self._book.effect(db, now)
        if found.share > guard.most_affected / 100:
            raise Reject("rules-affect-many", clips=found.earlier, of=found.clips, most=guard.most_affected)
        return waiting.id

    def _by(self, arguments: Mapping[str, str], who: str) -> dict[str, str]:
        # The texts first: an entry that speaks of one that was never kept could not be understood.
        said = [read.text(arguments, name) for name in ("person", "reason")]
        name, reason = map(self._keep, said)
        return {"name": name, "reason": reason, "who": who}

    def _keep(self, text: str) -> str:
        try:
            return self._texts.keep(text)
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error

    def _clips(self, db: sqlite3.Connection, arguments: Mapping[str, str]) -> list[int]:
        if "docking" in arguments:
            found = labels.of_docking(db, read.number(arguments, "docking"))
            if not found:
                raise Reject("bad-parameter", name="docking", expected="a docking that brought clips")
            return found
        ids = [part for part in arguments.get("clips", "").split(",") if read.NUMBER.fullmatch(part)]
        if not 0 < len(ids) <= MOST or ",".join(ids) != arguments.get("clips", ""):
            raise Reject("bad-parameter", name="clips", expected=f"1–{MOST} ids")
        return [clip.id for clip in chosen.by_id(db, map(int, ids))]


def _close(tx: sqlite3.Connection, of: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    done = labels.case(tx, of["case"], True, facts)
    if done is None:
        raise Reject("case-closed", case=of["case"])
    return done


def _line(at: int, error: Reject, *, officer: bool) -> dict[str, Any]:
    key = "label-two-persons" if error.key == "label-shortens" and not officer else error.key
    return {"line": at, "key": key, "params": dict(error.params)}
