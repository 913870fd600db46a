"""Erases by a list. Each clip is judged once more right before it goes, by what stations tell then.

Killed anywhere, it is run again by the same list and goes on: what is gone counts as gone. The clip goes
before its manifest, so that what is left of one is still known to be ours.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from agent.archive import certificate, clips
from agent.archive.judge import Judge
from agent.archive.lists import ExpiryList
from agent.archive.plan import Archive, Going, unreadable
from agent.errors import Reject

MOST = 10.0  # percent of all clips
_GROUP = 20  # clips that are judged by one reading of the stations
#: Seconds by which a station's clock may be ahead: so much later it must have told all, to be believed that a
#: legal hold is none of its own that is still to be told.
_LATER = 3600.0


@dataclass
class Done:
    """`absent`: gone already. `kept`: (key, why) of what was on the list and stays."""

    certificate: str
    erased: int = 0
    size: int = 0  # bytes
    versions: int = 0
    absent: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)

    def reasons(self) -> dict[str, int]:
        return dict(Counter(why for _, why in self.kept))


def expire(
    archive: Archive,
    wanted: ExpiryList,
    who: str,
    why: str,
    most: float = MOST,
    despite: Collection[str] = (),
) -> Done:
    """`most`: percent. `despite`: ids of stations whose story is lost in part, for ever. Raises Reject, and
    whatever the store raises; then it is to be run again."""
    if archive.store.place() != wanted.place:
        raise Reject("archive-other-store")
    if wanted.percent > most:
        raise Reject("archive-too-many", percent=round(wanted.percent, 1), most=most)
    _judge(archive, despite)
    begun = certificate.begin(archive.store, wanted, who, why, archive.now())
    done = Done(begun.name)
    going = iter(wanted)
    while group := list(islice(going, _GROUP)):
        _erase_all(archive, _judge(archive, despite), group, wanted, done)
    certificate.done(archive.store, begun, {"ended_at": archive.now(), **_facts(done)})
    return done


def _judge(archive: Archive, despite: Collection[str]) -> Judge:
    judge = archive.judge()
    if lost := [station for station in unreadable(archive.stations) if station not in despite]:
        raise Reject("archive-stories", stations=", ".join(lost))
    return judge


def _erase_all(
    archive: Archive, judge: Judge, group: Iterable[Going], wanted: ExpiryList, done: Done
) -> None:
    if archive.store.place() != wanted.place:
        raise Reject("archive-other-store")
    for going in group:
        archive.check()
        clip, manifest = clips.paths(going.key)
        keeps = _keeps(archive, judge, going, wanted)
        if keeps == _ABSENT:
            done.absent += 1
        elif keeps:
            done.kept.append((going.key, keeps))
        else:
            done.versions += archive.store.erase(clip) + archive.store.erase(manifest)
            done.erased += 1
            done.size += going.size


_ABSENT = "absent"


def _keeps(archive: Archive, judge: Judge, going: Going, wanted: ExpiryList) -> str:
    """Why it stays, a key of the words; empty when it goes."""
    sidecar = clips.manifest(archive.store, going.key)
    if sidecar is None:
        there = any(archive.store.exists(path) for path in clips.paths(going.key))
        return "no-manifest" if there else _ABSENT
    verdict = judge.verdict(sidecar)
    if verdict.keeps or sidecar.sha256 != going.sha256:
        return verdict.keeps or "told-otherwise"
    lock = archive.locked(going.key)
    if lock.until > judge.now:
        return "locked"
    explained = verdict.ours and going.held and verdict.heard > wanted.made_at + _LATER
    return "held-at-centre" if lock.hold and not explained else ""


def _facts(done: Done) -> dict[str, Any]:
    return {
        "erased": done.erased,
        "bytes": done.size,
        "versions": done.versions,
        "absent": done.absent,
        "kept": done.reasons(),
        "not_erased": [{"key": key, "why": why} for key, why in done.kept],
    }
