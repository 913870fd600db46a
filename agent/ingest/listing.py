"""What a docked recorder holds, against what the catalog has met already."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from agent.catalog import Catalog, intake
from agent.catalog.intake import Known
from agent.errors import Reject
from agent.ingest.source import sample_places, samples_of_reader
from agent.model import COLLECTED, ClipState, Identity, Skipped, SourceClip, printable, raw
from drivers.base import Reader, Session

T = TypeVar("T")

_RETURNING = (ClipState.MISSING, ClipState.QUARANTINED)
_EARLIEST = datetime(2010, 1, 1)  # before that a recorder's clock has lost its battery
_FUTURE = timedelta(days=1)
_AHEAD = 32  # files whose samples are asked for before their turn
_GROUP = 500  # clips begun in one commit: others wait meanwhile


@dataclass(slots=True)
class Pending:
    clip: int
    source: SourceClip


@dataclass(slots=True)
class Listing:
    pending: list[Pending] = field(default_factory=list)  # in the order in which they are copied
    clips: set[int] = field(default_factory=set)  # every clip that must be safe before we say "collected"
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, pending: Pending) -> None:
        self.pending.append(pending)
        self.clips.add(pending.clip)

    @property
    def complete(self) -> bool:
        """Whether every file was listed: behind an unreadable folder there may be clips."""
        return all(skipped.reason == "not-a-file" for skipped in self.skipped)


def make_listing(
    catalog: Catalog,
    session: Session,
    identity: Identity,
    docking: int,
    beat: Callable[[], None],
    officer_of: Callable[[SourceClip], str] = lambda source: "",
) -> Listing:
    """List everything first, commit what was seen, then tell what is to be copied and in which order.
    `officer_of`: by the roster, for what names nobody."""
    listing = Listing()
    sources = _beating(session.clips(), beat)
    found = list(sources)
    with catalog.reading() as db:
        met = [(source, intake.known(db, identity, source)) for source in _beating(found, beat)]
    unchanged = _unchanged(session, _beating(met, beat))
    growing = intake.still_recording(catalog.read(), identity)
    fresh: list[SourceClip] = []
    for source, before in met:
        known, waiting = unchanged.get(id(source)), _waiting(before, listing)
        if known is None or (waiting is not None and waiting.clip > known.clip):
            # A later one began because the copy here was rotten, and was cut short: it ends as the same clip.
            known = waiting
        if known is not None and source.important and not known.important:
            _write(catalog, intake.mark_important, known.clip)
        if known is None:
            clip = growing.pop(raw(source.path), None)
            if clip is None:
                fresh.append(source)
            else:
                _write(catalog, intake.grown, clip, source)
                listing.add(Pending(clip, source))
        elif known.whole:
            listing.clips.add(known.clip)
        else:
            if known.state in _RETURNING:
                _write(catalog, intake.see_again, known.clip, known.state, docking)
            listing.add(Pending(known.clip, source))
    listing.skipped = session.skipped()
    # Clips that are copied together shall lie together in the catalog: else each commit touches most of it.
    fresh.sort(key=_order)
    for group in _beating(_groups(fresh, _GROUP), beat):
        clips = _write(catalog, intake.see, docking, identity, group, officer_of)
        for pair in zip(clips, group, strict=True):
            listing.add(Pending(*pair))
    if listing.complete:
        names = intake.strayed(catalog.read(), identity, {source.path for source in found})
        _write(catalog, intake.end_listing, identity, docking, listing.clips, names)
    listing.pending.sort(key=lambda pending: _order(pending.source))
    return listing


def _write(catalog: Catalog, change: Callable[..., T], *args: Any) -> T:
    return catalog.write(lambda tx: change(tx, *args))


def remarks(listing: Listing, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the officer should be told of the listing: problem keys with their parameters."""
    for reason, count in Counter(skipped.reason for skipped in listing.skipped).items():
        first = next(skipped.path for skipped in listing.skipped if skipped.reason == reason)
        yield reason, {"count": count, "path": printable(first)}
    if not listing.clips:
        yield "empty-card", {}
    times = [pending.source.recorded_at for pending in listing.pending if pending.source.recorded_at]
    wrong = [time for time in times if not _EARLIEST <= time <= now + _FUTURE]
    if wrong:
        yield "clock-wrong", {"count": len(wrong), "time": wrong[0].isoformat(" ", "minutes")}


def _waiting(before: list[Known], listing: Listing) -> Known | None:
    """The clip that this file began at an earlier docking. One clip is one file: where two names led to
    it, or a damaged card lists a name twice, the second begins a clip of its own (and may merge)."""
    return next(
        (known for known in before if known.state not in COLLECTED and known.clip not in listing.clips), None
    )


def _unchanged(session: Session, met: Iterable[tuple[SourceClip, list[Known]]]) -> dict[int, Known]:
    """id(source) → clip, for files whose samples are those of a clip that was collected.

    The samples of the next files are asked of the recorder while one is read: it answers many small
    reads at once far sooner than one after the other."""
    found = {}
    for source, collected, reader in _opened(session, met):
        samples = samples_of_reader(reader, source.size)
        same = next((known for known in collected if known.samples == samples), None)
        if samples is not None and same is not None:
            found[id(source)] = same
    return found


def _opened(
    session: Session, met: Iterable[tuple[SourceClip, list[Known]]]
) -> Iterator[tuple[SourceClip, list[Known], Reader]]:
    window: deque[tuple[SourceClip, list[Known], Reader]] = deque()
    try:
        for source, before in met:
            collected = [known for known in before if known.whole]
            reader = _open(session, source) if collected else None
            if reader is not None:
                window.append((source, collected, reader))
            if len(window) > _AHEAD:
                yield window[0]
                window.popleft()[2].close()
        yield from window
    finally:
        for _, _, reader in window:
            reader.close()


def _open(session: Session, source: SourceClip) -> Reader | None:
    """None when it cannot be opened: then the file counts as new, and the copy will tell why."""
    try:
        reader = session.open(source)
    except Reject:
        return None
    for offset, length in sample_places(source.size):
        reader.ahead(offset, length)
    return reader


def _beating(items: Iterable[T], beat: Callable[[], None]) -> Iterator[T]:
    for item in items:
        beat()
        yield item


def _order(source: SourceClip) -> tuple[bool, datetime, str]:
    """Important first, then oldest: what is lost by an early pull should be the least."""
    return not source.important, source.recorded_at or datetime.max, source.path


def _groups(items: list[SourceClip], size: int) -> Iterator[list[SourceClip]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
