"""Takes off a recorder, at the end of a docking, what is safe elsewhere. Nothing else is ever removed.

    listed → may it go? → compared with what was copied ─commit→ removed → listed again ─commit→ certificate

Whether a file may go is asked again in the commit that lists it: a hold that was set a moment before is seen.
When the docking ends between the two commits, the list stays open. At the card's next docking it gets its
certificate, and what is still there is judged anew, like every other file.
"""

import errno
import hashlib
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent import durable
from agent.catalog import Catalog, erasures, reconfirm
from agent.catalog.erasures import ERASED, GONE, ONLY_ASK, Named, Open
from agent.errors import DeviceGone, Reject, SourceChanged, StationError, Stopping
from agent.ingest.source import fill, samples_of_reader
from agent.ingest.store import Store
from agent.model import Doing, Identity, Reporter, SourceClip, raw
from drivers.base import Erasable, Reader, Session

_GROUP = 256  # files that are removed in one go
_GROUP_BYTES = 256 << 10  # of their paths: the helper takes no longer a request
_TRIES = 4  # to leave out what is not as it was
_BLOCK = 1 << 20
_POLL = 1.0  # seconds between two looks whether the centre has answered
_log = logging.getLogger(__name__)


class Settings(Protocol):
    @property
    def full_digest(self) -> bool: ...
    @property
    def patience(self) -> float: ...


class Judge(Protocol):
    """Says what may go (`agent.retention.erase`)."""

    @property
    def config(self) -> Settings: ...
    def allowed(self, identity: Identity) -> bool: ...
    def now(self) -> float | None: ...
    def ruling(self, db: sqlite3.Connection, now: float | None) -> Callable[[int], str]: ...
    def by_centre(self, db: sqlite3.Connection, clip: int, now: float | None) -> bool: ...


@dataclass(slots=True)
class Emptying:
    """What all dockings share. `ask`: have the centre asked for what is to be proved."""

    catalog: Catalog
    store: Store
    judge: Judge
    ask: Callable[[], None] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def run(self, session: Session, identity: Identity, docking: int, reporter: Reporter) -> bool:
        """After everything on the card was listed and collected. False when something on it is not what was
        copied, and is to be copied again."""
        if not isinstance(session, Erasable):
            return True
        card = _Card(self, session, identity, docking, reporter)
        try:
            files = list(session.clips())
            card.end_old_lists(files)
            return card.empty(files) if self.judge.allowed(identity) else True
        except Stopping:
            raise
        except DeviceGone:
            reporter.problem("erase-cut-short")
        except (StationError, OSError) as error:
            # What was collected stays collected.
            _log.error("slot of %s: erasing ended: %s", identity.recorder, error)
            reporter.problem("erase-failed", reason=str(error))
        return True


@dataclass(slots=True)
class _Card:
    """One card in one docking. `left`: why how many of its files were left."""

    all: Emptying
    session: Erasable
    identity: Identity
    docking: int
    reporter: Reporter
    left: Counter[str] = field(default_factory=Counter)
    changed: bool = False

    def end_old_lists(self, files: Sequence[SourceClip]) -> None:
        """The certificates of erasures that were cut short."""
        there = {raw(one.path): (one.size, one.mtime_ns) for one in files}
        for old in erasures.unfinished(self.all.catalog.read(), self.identity):
            fates = {one.name: _of_old(one, there.get(one.path)) for one in old.files}
            self.all.catalog.write(
                lambda tx, old=old, fates=fates: erasures.finish(tx, old, self.docking, fates, {})  # type: ignore[misc]
            )

    def empty(self, files: Sequence[SourceClip]) -> bool:
        known = self._known(files)
        if any(why == ONLY_ASK for _, _, why in known):
            known = self._asked(known)
        due = [(source, rows) for source, rows, why in known if not why]
        refused = Counter(why for _, _, why in known if why)
        if due:
            self.reporter.doing(Doing.ERASING)
        same = list(self._compared(due))
        if same:
            self._erase(files, same, refused)
        return not self.changed

    # may it go?

    def _known(self, files: Sequence[SourceClip]) -> list[tuple[SourceClip, list[Named], str]]:
        """Each file with the clips that it may be, and why it is left."""
        alike = Counter(one.path.casefold() for one in files)
        now = self.all.judge.now()
        with self.all.catalog.reading() as db:
            ruling = self.all.judge.ruling(db, now)
            found = []
            for source in files:
                self.reporter.check()
                rows = erasures.named(db, self.identity, source)
                twins = alike[source.path.casefold()] > 1
                found.append((source, rows, "alike" if twins else _hardest(ruling(row.clip) for row in rows)))
            return found

    def _asked(
        self, known: list[tuple[SourceClip, list[Named], str]]
    ) -> list[tuple[SourceClip, list[Named], str]]:
        """Have the centre say again what it has, and wait a while for it."""
        self.reporter.doing(Doing.ERASING)
        clips = {row.clip for _, rows, why in known if why == ONLY_ASK for row in rows}
        self.all.catalog.write(lambda tx: reconfirm.soon(tx, sorted(clips), prove=True))
        self.all.ask()
        files, until = (
            [source for source, _, _ in known],
            self.all.monotonic() + self.all.judge.config.patience,
        )
        while any(why == ONLY_ASK for _, _, why in known) and self.all.monotonic() < until:
            self.reporter.check()
            self.all.wait(_POLL)
            known = self._known(files)
        return known

    # is it what was copied?

    def _compared(self, due: Iterable[tuple[SourceClip, list[Named]]]) -> Iterator[Named]:
        for source, rows in due:
            self.reporter.check()
            one, why = self._same(source, rows)
            if one is not None:
                yield one
                continue
            self.left[why] += 1
            if why == "differs":
                self.changed = True
                self.reporter.problem("changed-since-copy", path=source.path)

    def _same(self, source: SourceClip, rows: list[Named]) -> tuple[Named | None, str]:
        """The clip that the file is, or why it is left."""
        try:
            reader = self.session.open(source)
        except Reject:
            return None, "unreadable"
        try:
            if reader.stat() != (source.size, source.mtime_ns):
                return None, "differs"
            samples = samples_of_reader(reader, source.size)
            fits = [row for row in rows if row.samples == samples]
            if len({row.clip for row in fits}) > 1:
                return None, "doubtful"  # only a person can tell which one it is
            if samples is None or not fits:
                return None, "unreadable" if samples is None else "differs"
            if self.all.judge.config.full_digest and self._digest(reader, source.size) != fits[0].sha256:
                self.all.catalog.write(lambda tx: erasures.differs(tx, fits[0].name))
                return None, "differs"
            return fits[0], ""
        except Reject:
            return None, "unreadable"
        except SourceChanged:
            return None, "differs"
        finally:
            reader.close()

    def _digest(self, reader: Reader, size: int) -> bytes | None:
        """None: not all of it can be read."""
        digest, buffer, lost = hashlib.sha256(), memoryview(bytearray(_BLOCK)), list[tuple[int, int]]()
        for at in range(0, size, _BLOCK):
            block = buffer[: min(_BLOCK, size - at)]
            fill(reader, block, at, lost, self.reporter.check)
            digest.update(block)
        if lost:
            raise Reject("unreadable")
        return digest.digest()

    # gone

    def _erase(self, before: Sequence[SourceClip], same: list[Named], refused: Counter[str]) -> None:
        here = {one.name for one in same if self._whole_here(one)}
        now = self.all.judge.now()

        def work(tx: sqlite3.Connection) -> tuple[Open | None, Counter[str]]:
            ruling, late, listed = self.all.judge.ruling(tx, now), Counter[str](), list[Named]()
            for one in same:
                why = ruling(one.clip)
                if not why and one.name not in here and not self.all.judge.by_centre(tx, one.clip, now):
                    why = "not-whole-here"
                if why:
                    late[why] += 1
                else:
                    listed.append(one)
            if not listed:
                return None, late
            return Open(erasures.begin(tx, self.docking, self.identity, listed), tuple(listed)), late

        erasure, late = self.all.catalog.write(work)
        if erasure is None:
            return
        fates = dict[int, str]()
        for group in _groups(erasure.files):
            fates |= self._remove(group)
        self._end(erasure, before, fates, self.left + refused + late)

    def _whole_here(self, one: Named) -> bool:
        """Read from the station's disk. Not asked where the centre answers for it."""
        if self.all.judge.by_centre(self.all.catalog.read(), one.clip, self.all.judge.now()):
            return False
        digest = hashlib.sha256()
        try:
            with open(self.all.store.path(one.key), "rb", opener=durable.opener) as file:
                durable.drop_cache(file.fileno())
                while block := file.read(_BLOCK):
                    self.reporter.check()
                    digest.update(block)
        except OSError:
            return False
        return digest.digest() == one.sha256

    def _remove(self, group: Sequence[Named]) -> dict[int, str]:
        """By name: what became of it; "" when only the next docking will tell."""
        by_path = {one.path: one for one in group}
        fates = dict[int, str]()
        for _ in range(_TRIES):
            if not by_path:
                break
            files = [(os.fsdecode(one.path), one.size, one.mtime_ns) for one in by_path.values()]
            try:
                told = {by_path[raw(path)].name: fate for path, fate in self.session.erase(files)}
            except OSError as error:
                self._say(error)
                fates |= dict.fromkeys((one.name for one in by_path.values()), _why(error))
                break
            fates |= told
            again = {one.path: one for one in by_path.values() if told[one.name] == "refused"}
            if len(again) in (0, len(by_path)):
                break
            by_path = again
        return {name: "" if fate == "uncertain" else fate for name, fate in fates.items()}

    def _say(self, error: OSError) -> None:
        _log.error("%s is not erased from: %s", self.identity.recorder, error)
        keys = {"EUCLEAN": "erase-damaged", "EROFS": "erase-read-only", "EACCES": "erase-read-only"}
        key = keys.get(_why(error), "erase-failed")
        self.reporter.problem(key, reason=error.strerror or str(error))

    def _end(
        self, erasure: Open, before: Sequence[SourceClip], fates: Mapping[int, str], left: Counter[str]
    ) -> None:
        """Listed again: only what the card does not show any more was erased."""
        after = {raw(one.path) for one in self.session.clips()}
        if any(one.reason != "not-a-file" for one in self.session.skipped()):
            raise Reject("erase-not-listed")
        said = {one.name: _seen(fates[one.name], one.path in after) for one in erasure.files}
        if "" in said.values():
            self.reporter.problem("erase-cut-short")
            return
        listed = {one.path for one in erasure.files}
        missing = {one.path for one in before if raw(one.path) not in after | listed}
        self.all.catalog.write(lambda tx: erasures.finish(tx, erasure, self.docking, said, left, missing))
        gone, stayed = (sum((fate == ERASED) is one for fate in said.values()) for one in (True, False))
        _log.info("%d files were erased from %s, %d stayed", gone, self.identity.recorder, stayed)
        if missing:
            _log.critical("%d other files vanished from %s meanwhile", len(missing), self.identity.recorder)
            self.reporter.problem("erase-others-missing", count=len(missing))
        if gone:
            self.reporter.erased(gone, all=not after and not missing)
            self.reporter.problem("erased", count=gone)


def _of_old(one: Named, there: tuple[int, int] | None) -> str:
    if there is None:
        return GONE
    return "unfinished" if there == (one.size, one.mtime_ns) else "differs"


def _seen(fate: str, there: bool) -> str:
    """ "" when nobody knows. What the card still shows was not erased, whoever says so."""
    if fate == ERASED and there:
        return "came-back"
    return "vanished" if fate == "gone" else fate  # by another hand: nothing was removed yet


def _hardest(whys: Iterable[str]) -> str:
    """Of all clips that a file may be."""
    found = list(whys)
    return max(found, key=lambda why: (why != "", why != ONLY_ASK), default="not-collected")


def _groups(files: Sequence[Named]) -> Iterator[list[Named]]:
    group, size = list[Named](), 0
    for one in files:
        if group and (len(group) == _GROUP or size + 6 * len(one.path) > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += 6 * len(one.path)  # as JSON may write it
    if group:
        yield group


def _why(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "error")
