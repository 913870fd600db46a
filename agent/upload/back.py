"""Fetches a clip back from the centre, for whoever needs its bytes when they are not here any more.

Nothing is written at the centre, nothing kept here. Each try begins anew and is compared by who takes it.
"""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.catalog import deliveries, places
from agent.catalog.documents import stored_clip
from agent.config import targets as config
from agent.errors import NotEqual, Retry, StationError
from agent.model import Problem, StoredClip
from agent.upload.build import build
from agent.upload.retry import Backoff
from agent.upload.targets.base import Target

log = logging.getLogger(__name__)

TRIES = 4  # of each target; a line that is away for longer is for people to mend
BACKOFF = Backoff(first=1.0, cap=30.0, patience=60.0)
#: Takes a clip's bytes from its first on; raises NotEqual when they are not the clip's.
Put = Callable[[Iterator[bytes]], None]


class NotFetched(Exception):
    """`reasons`: at least one; each names its target, if there is one."""

    def __init__(self, reasons: list[Problem]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Known:
    target: Target
    place: str  # which store this station has found behind its name


def known(targets: Mapping[str, config.Target], db: sqlite3.Connection, store: Path) -> list[Known]:
    """Those of the targets that this station was in touch with: no other can have its clips, and a mark would
    be made there."""
    built = build(targets, lambda name, address: places.known_at(db, name, address), store)
    found = [Known(one, places.known_at(db, one.name, one.address)) for one in built.values()]
    return [one for one in found if one.place]


def fetch(
    db: sqlite3.Connection,
    among: list[Known],
    clip: int,
    put: Put,
    wait: Callable[[float], object] = time.sleep,
) -> str:
    """From the first of these targets that gives it as it is; return its name. Raises NotFetched, and what
    `put` raises besides NotEqual."""
    stored, reasons = stored_clip(db, clip), list[Problem]()
    for one in among:
        token = deliveries.token(db, clip, one.target.name, one.place)
        reason = _tried(one.target, stored, token, put, wait)
        if reason is None:
            return one.target.name
        reasons.append(reason)
    raise NotFetched(reasons or [Problem("export-no-target")])


def _tried(
    target: Target, clip: StoredClip, token: str, put: Put, wait: Callable[[float], object]
) -> Problem | None:
    """Why it was in vain."""
    for failures in range(1, TRIES + 1):
        try:
            put(target.read(clip, token))
            return None
        except NotEqual as error:  # on its way, perhaps
            reason, after = Problem("export-other-bytes", {"target": target.name, **error.params}), None
        except StationError as error:
            key = "export-not-at-target" if error.key == "not-there" else error.key
            reason = Problem(key, {**error.params, "target": target.name})
            if not isinstance(error, Retry) or error.key == "not-there":
                return reason
            after = error.retry_after
        log.info("clip %d from %s, try %d: %s", clip.id, target.name, failures, reason)
        if failures < TRIES:
            wait(BACKOFF.delay(failures, random.Random(), after))
    return reason
