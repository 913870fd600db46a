"""What a docked recorder holds, against what the catalog has met already."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent.catalog import Catalog, intake
from agent.errors import Reject, SourceUnreadable
from agent.ingest.source import samples_of_reader
from agent.model import COLLECTED, ClipState, Identity, Skipped, SourceClip, printable, raw
from drivers.base import Session

_RETURNING = (ClipState.MISSING, ClipState.QUARANTINED)
_EARLIEST = datetime(2010, 1, 1)  # before that a recorder's clock has lost its battery
_AHEAD = timedelta(days=1)
_GROUP = 500  # clips begun in one commit: others wait meanwhile


@dataclass(slots=True)
class Pending:
    clip: int
    source: SourceClip


@dataclass(slots=True)
class Listing:
    pending: list[Pending] = field(default_factory=list)  # in the order in which they are copied
    known: int = 0  # unchanged since they were collected
    clips: set[int] = field(default_factory=set)  # every clip that must be safe before we say "collected"
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every file was listed: behind an unreadable folder there may be clips."""
        return all(skipped.reason == "not-a-file" for skipped in self.skipped)


def make_listing(
    catalog: Catalog, session: Session, identity: Identity, docking: int, beat: Callable[[], None]
) -> Listing:
    """List everything first, commit what was seen, then tell what is to be copied and in which order."""
    listing = Listing()
    fresh: list[SourceClip] = []
    growing = intake.still_recording(catalog.read(), identity)
    for source in session.clips():
        beat()
        if not _sort_in(catalog, session, identity, source, listing, docking):
            clip = growing.get(raw(source.path))
            if clip is None:
                fresh.append(source)
            else:
                catalog.write(lambda tx, clip=clip, source=source: intake.grown(tx, clip, source))  # type: ignore[misc]
                listing.pending.append(Pending(clip, source))
    listing.skipped = session.skipped()
    for group in _groups(fresh, _GROUP):
        beat()
        clips = catalog.write(lambda tx, group=group: intake.see(tx, docking, identity, group))  # type: ignore[misc]
        listing.pending += [Pending(*pair) for pair in zip(clips, group, strict=True)]
    listing.clips.update(pending.clip for pending in listing.pending)
    if listing.complete:
        catalog.write(lambda tx: intake.mark_missing(tx, identity, docking, listing.clips))
    listing.pending.sort(key=_order)
    return listing


def remarks(listing: Listing, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the officer should be told of the listing: problem keys with their parameters."""
    for reason, count in Counter(skipped.reason for skipped in listing.skipped).items():
        first = next(skipped.path for skipped in listing.skipped if skipped.reason == reason)
        yield reason, {"count": count, "path": printable(first)}
    if not listing.clips:
        yield "empty-card", {}
    times = [pending.source.recorded_at for pending in listing.pending if pending.source.recorded_at]
    wrong = [time for time in times if not _EARLIEST <= time <= now + _AHEAD]
    if wrong:
        yield "clock-wrong", {"count": len(wrong), "time": wrong[0].isoformat(" ", "minutes")}


def _sort_in(
    catalog: Catalog, session: Session, identity: Identity, source: SourceClip, listing: Listing, docking: int
) -> bool:
    """Whether the catalog has met this file; if so it is counted as known, or as pending still."""
    waiting = None
    for met in intake.known(catalog.read(), identity, source):
        if met.state not in COLLECTED:
            waiting = met
        elif met.samples == _samples(session, source):
            listing.known += 1
            listing.clips.add(met.clip)
            return True
    if waiting is None:
        return False
    if waiting.state in _RETURNING:
        catalog.write(lambda tx: intake.see_again(tx, waiting.clip, waiting.state, docking))
    listing.pending.append(Pending(waiting.clip, source))
    return True


def _samples(session: Session, source: SourceClip) -> bytes | None:
    """None when they cannot be read: then the file counts as new, and the copy will tell why."""
    try:
        reader = session.open(source)
    except (SourceUnreadable, Reject):
        return None
    try:
        return samples_of_reader(reader, source.size)
    finally:
        reader.close()


def _order(pending: Pending) -> tuple[bool, datetime, str]:
    """Important first, then oldest: what is lost by an early pull should be the least."""
    source = pending.source
    return not source.important, source.recorded_at or datetime.max, source.path


def _groups(items: list[SourceClip], size: int) -> Iterator[list[SourceClip]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
