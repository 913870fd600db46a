"""The dockings in an evidence package: that each clip came in one that is proven, and what that one says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.custody.verdict import Said
from agent.custody.verifier import Invalid

Facts = Mapping[str, Any]  # of an entry
Entries = Mapping[int, Facts]  # by the number of the event
RESOLUTION = 2.0  # seconds, which names and FAT leave open
_ROUNDED = 0.002  # seconds
_KINDS = {"docked": "docked", "undocked": "undocked", "compared": "clock-compared"}


@dataclass(frozen=True)
class Docking:
    """`events`: numbers, by what they tell of it, `docked` at least; all of them are about this docking."""

    id: int
    events: Mapping[str, int]
    entries: Entries

    def entry(self, what: str) -> Facts:
        return self.entries[self.events[what]]

    def body(self, what: str) -> Facts:
        return body_of(self.entry(what))

    @property
    def said(self) -> Said:
        recorder, slot = (self.body("docked").get(name) for name in ("recorder", "slot"))
        at = self.entry("docked").get("at")
        zh = f"第 {self.id} 次接入：记录仪 {recorder} 于 {at} 接入采集口 {slot}"
        en = f"docking {self.id}: recorder {recorder} in slot {slot} at {at}"
        if "undocked" in self.events:
            end, outcome = self.entry("undocked").get("at"), self.body("undocked").get("outcome")
            zh, en = f"{zh}，{end} 结束（{outcome}）", f"{en}, until {end} ({outcome})"
        return Said(True, zh, en)


class Dockings:
    """Those that `export.json` tells of."""

    def __init__(self, told: object, entries: Entries) -> None:
        """Raises Invalid where an entry is none of its docking."""
        if not isinstance(told, list):
            raise Invalid("it is not told in which dockings the clips came")
        self._by_id = {one.id: one for one in (_docking(each, entries) for each in told)}
        if len(self._by_id) != len(told):
            raise Invalid("a docking is told of twice")
        self._named = set[int]()

    def __getitem__(self, number: object) -> Docking:
        """Raises Invalid."""
        docking = self._by_id.get(number) if isinstance(number, int) else None
        if docking is None:
            raise Invalid(f"docking {number} is not in the package")
        return docking

    @property
    def events(self) -> set[int]:
        return {seq for docking in self._by_id.values() for seq in docking.events.values()}

    def check(self, own: Iterable[Facts], recorder: object) -> None:
        """That the clip of this recorder, with the entries `own`, came in these dockings. Raises Invalid."""
        own = list(own)
        named = [(facts, body_of(facts)["docking"]) for facts in own if "docking" in body_of(facts)]
        if not named and own[0].get("kind") != "rebuilt":
            raise Invalid("no entry says in which docking it came")
        for facts, number in named:
            docking = self[number]
            self._named.add(docking.id)
            seq = int(facts["seq"])
            if not docking.events["docked"] < seq < docking.events.get("undocked", seq + 1):
                raise Invalid(f"event {seq} names docking {number}, and is not from its time")
            if docking.body("docked").get("recorder") != recorder:
                raise Invalid(f"docking {number} was of another recorder")

    def said(self) -> Iterator[Said]:
        """After `check` of every clip."""
        for docking in self._by_id.values():
            if docking.id in self._named:
                yield docking.said
            else:
                yield Said(
                    False, f"没有录像属于第 {docking.id} 次接入", f"no clip came in docking {docking.id}"
                )


def check_times(times: Iterable[Facts], dockings: Dockings) -> Iterator[Said]:
    """That the interval in which a clip was truly recorded follows from what was proven of its recorder's
    clock, where it is told to follow from that."""
    for told in times:
        clip = told.get("clip")
        if told.get("follows_from") != "clock":
            continue
        try:
            seq = _check_time(told, dockings[told.get("docking")])
        except (Invalid, TypeError, OverflowError) as error:
            yield Said(False, f"录像 {clip} 的实际录制时间不成立", f"the true time of clip {clip}: {error}")
            continue
        yield Said(
            True,
            f"录像 {clip} 的实际录制时间区间由第 {seq} 号事件（时钟比对）得出",
            f"clip {clip}: the interval of its true time follows from event {seq}, `clock-compared`",
        )


def _check_time(told: Facts, docking: Docking) -> int:
    """The number of the event that it follows from."""
    if "compared" not in docking.events:
        raise Invalid(f"no event compares the recorder's clock at docking {docking.id}")
    body, seq = docking.body("compared"), docking.events["compared"]
    low, high = body.get("low"), body.get("high")
    if told.get("ahead_seconds") != [low, high]:
        raise Invalid(f"event {seq} has other bounds of the recorder's clock")
    recorded, left = told["recorded"], told.get("left")
    begins = [
        end for end in (left, None if high is None else recorded - high - RESOLUTION) if end is not None
    ]
    wanted = (max(begins, default=None), min(told["docked"], recorded - low + RESOLUTION))
    for made, end in zip(wanted, (told.get("from"), told.get("to")), strict=True):
        if (made is None) != (end is None) or (end is not None and abs(made - end) > _ROUNDED):
            raise Invalid(f"it would be {wanted[0]} to {wanted[1]}, in seconds since the epoch")
    return seq


def _docking(told: object, entries: Entries) -> Docking:
    number = told.get("docking") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(number, int):
        raise Invalid("a docking has no number")
    events = {name: told[name] for name in _KINDS if told.get(name) is not None}
    if "docked" not in events:
        raise Invalid(f"docking {number}: it is not told how it began")
    for name, seq in events.items():
        facts = entries.get(seq, {}) if isinstance(seq, int) else {}
        if facts.get("kind") != _KINDS[name] or body_of(facts).get("docking") != number:
            raise Invalid(f"docking {number}: event {seq} is not its `{_KINDS[name]}`")
    docking = Docking(number, events, entries)
    for name in ("recorder", "slot"):
        begun = docking.body("docked").get(name)
        if any(docking.body(what).get(name, begun) != begun for what in events):
            raise Invalid(f"docking {number}: its events name another {name} each")
    return docking


def body_of(facts: Facts) -> Facts:
    """Of an entry. Raises Invalid."""
    found = facts.get("body")
    if not isinstance(found, dict):
        raise Invalid("an entry has no body")
    return found
