"""A random sample of clips for inspection, that nobody could choose and anybody can draw again.

The seed is a head of the log that had left the station before anybody knew what it would draw; the clips are
those that its log had stored by then. So whoever has the log, by whatever program, draws the same ones:

    seed  SHA-256 of "recorder-station draw 1", a newline, and the text of the head
    rank  of a clip: SHA-256 of the seed's 32 bytes and the number of its last `stored` event in the log up to
          that head, in decimal; of each stratum those with the smallest ranks are drawn
    key   `<recorder>/<day>/<name>`, in that event: strata are recorders, or days
"""

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from agent.custody.verifier import Head

HEADER = "recorder-station draw 1"


class By(StrEnum):
    NONE = "none"  # all clips are one stratum
    RECORDER = "recorder"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Stored:
    seq: int  # of its event
    clip: int
    key: str
    sha256: str

    @property
    def day(self) -> str:
        return self.key.split("/")[1] if self.key.count("/") > 1 else ""

    def stratum(self, by: By) -> str:
        match by:
            case By.NONE:
                return ""
            case By.RECORDER:
                return self.key.partition("/")[0]
            case By.DAY:
                return self.day


def seed(head: Head) -> bytes:
    return hashlib.sha256(f"{HEADER}\n{head.text}".encode()).digest()


def rank(of: bytes, seq: int) -> bytes:
    return hashlib.sha256(of + str(seq).encode()).digest()


def draw(head: Head, clips: Iterable[Stored], by: By, count: int) -> list[Stored]:
    """At most `count` of each stratum, by stratum and then by rank."""
    strata: dict[str, list[Stored]] = {}
    for clip in clips:
        strata.setdefault(clip.stratum(by), []).append(clip)
    of = seed(head)
    return [
        drawn
        for _, lot in sorted(strata.items())
        for drawn in heapq.nsmallest(count, lot, key=lambda clip: rank(of, clip.seq))
    ]
