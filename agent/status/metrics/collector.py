"""Asks the station at each scrape, and keeps nothing itself.

No label tells of a recorder, an officer or a clip: those would be names, and a series for each of them.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from agent.model import ClipState, SlotState, printable
from agent.status.metrics.families import counter, gauge, gauges, labelled
from agent.status.metrics.measured import Measured
from agent.status.snapshot import Sources

DAY = 86400.0  # seconds
_log = logging.getLogger(__name__)


class StationCollector(Collector):
    """What cannot be measured now is left out, told as `unmeasured`, and hides nothing else: a disk that
    fails must not take the other figures with it."""

    def __init__(self, sources: Sources, measured: Measured) -> None:
        self._sources, self._measured = sources, measured
        self._failing = frozenset[str]()

    def describe(self) -> Iterator[Metric]:
        """None: to be registered is no reason to ask the whole station."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        failing = set[str]()
        for name, group in self._groups().items():
            try:
                yield from list(group())
            except Exception:  # noqa: BLE001 - logged and told
                if name not in self._failing:  # once per failure: a scrape comes every few seconds
                    _log.exception("%s cannot be measured", name)
                failing.add(name)
        self._failing = frozenset(failing)
        yield gauges(
            "unmeasured",
            "1 for each group of metrics that could not be measured just now.",
            "group",
            {name: float(name in failing) for name in self._groups()},
        )

    def _groups(self) -> dict[str, Callable[[], Iterator[Metric]]]:
        return {
            "station": self._station,
            "clips": self._clips,
            "moved": self._moved,
            "deadlines": self._deadlines,
            "disk": self._disk,
            "targets": self._targets,
            "clock": self._clock,
            "log": self._of_log,
            "workers": self._workers,
            "health": self._health,
            "scrub": self._scrub,
        }

    def _station(self) -> Iterator[Metric]:
        version, ready = self._sources.version, not self._sources.waiting_for()
        yield gauges("build_info", "1, with the version that runs.", "version", {version: 1.0})
        yield gauge("ready", "1 when the agent is up and collects.", float(ready))
        states = Counter(slot.state for slot in self._sources.slots())
        counted = {state.value: float(states[state]) for state in SlotState}
        yield gauges("slots", "Slots of the rack, by what they show.", "state", counted)
        yield counter(
            "unsafe_shutdowns",
            "Times that the agent ended without closing its catalog: a power cut, a kill, a hang.",
            self._measured.unsafe_shutdowns(),
        )

    def _clips(self) -> Iterator[Metric]:
        amounts = self._measured.amounts()
        known = {state.value: amounts.get(state) for state in ClipState}
        clips = {state: float(one.clips if one else 0) for state, one in known.items()}
        size = {state: float(one.bytes if one else 0) for state, one in known.items()}
        yield gauges("clips", "Clips, by how far they have come.", "state", clips)
        yield gauges("clips_bytes", "Bytes of the clips in each state, here or at the centre.", "state", size)
        yield gauge("rotten_clips", "Confirmed clips whose copy here is not whole.", self._measured.rotten())
        yield gauge(
            "findings_open", "Findings of missing recordings that nobody explained.", self._sources.findings()
        )

    def _moved(self) -> Iterator[Metric]:
        moved = self._measured.moved()
        for name, kind, what in (
            ("collected", "stored", "collected from recorders and verified here"),
            ("uploaded", "uploaded", "of which every target has taken the last byte"),
            ("confirmed", "confirmed", "that every target has confirmed"),
        ):
            yield counter(f"{name}_clips", f"Clips {what}, since the agent's start.", moved[kind].clips)
            yield counter(
                f"{name}_bytes", f"Bytes of clips {what}, since the agent's start.", moved[kind].bytes
            )

    def _deadlines(self) -> Iterator[Metric]:
        asked = self._measured
        yield gauge(
            "oldest_unconfirmed_clip_age_seconds",
            "Seconds since the docking of the clip that waits longest to be confirmed; 0: none waits.",
            asked.waiting(),
        )
        yield gauge("upload_deadline_seconds", "Configured: upload.deadline.", asked.deadline())
        yield gauge("clips_overdue", "Clips that wait for longer than upload.deadline.", asked.overdue())
        yield gauge(
            "clips_handed_in_late", "Clips that came to the station late, of today's.", asked.late_today()
        )

    def _disk(self) -> Iterator[Metric]:
        free, total, reserve = self._sources.disk()
        filling = self._sources.filling()
        days = None if filling is None else float("inf") if filling[1] is None else float(filling[1])
        yield gauge("disk_free_bytes", "Free on the disk of the store.", free)
        yield gauge("disk_size_bytes", "Size of the disk of the store.", total)
        yield gauge("disk_reserve_bytes", "What recorders may not fill.", reserve)
        yield gauge(
            "disk_full_in_seconds",
            "Seconds until only the reserve is free, at the pace of late; +Inf: not for months.",
            None if days is None else days * DAY,
        )

    def _targets(self) -> Iterator[Metric]:
        fares = {printable(name): one for name, one in self._measured.targets().items()}
        up: dict[str, float | None] = {name: float(one[0]) for name, one in fares.items()}
        yield gauges("target_up", "1 when the target takes clips, as far as is known.", "target", up)
        yield gauges(
            "target_answer_seconds",
            "Seconds that the target took to say who it is, when it last did.",
            "target",
            {name: one[1] for name, one in fares.items()},
        )
        yield gauges(
            "target_answer_age_seconds",
            "Seconds since the target last said who it is.",
            "target",
            {name: one[2] for name, one in fares.items()},
        )

    def _clock(self) -> Iterator[Metric]:
        yield gauge("clock_trusted", "1 when the station's clock is right.", self._sources.clock_trusted())
        yield gauge(
            "clock_offset_seconds",
            "Seconds that the clock is ahead of an authenticated server's, to about a second.",
            self._measured.clock_offset(),
        )

    def _of_log(self) -> Iterator[Metric]:
        signed, unsigned, size = self._measured.log() or (None, None, None)
        yield gauge("log_entries", "Entries of the log under its last signed head.", signed)
        yield gauge("log_unsigned_entries", "Events that no signed head speaks of yet.", unsigned)
        yield gauge("log_bytes", "Bytes of the log's files.", size)

    def _workers(self) -> Iterator[Metric]:
        beats = [(printable(name), idle, limit) for name, idle, limit in self._measured.beats()]
        idle: dict[str, float | None] = {name: since for name, since, _ in beats}
        limits: dict[str, float | None] = {name: limit for name, _, limit in beats}
        yield gauges("worker_idle_seconds", "Seconds since a worker's last progress.", "worker", idle)
        yield gauges(
            "worker_idle_limit_seconds", "Seconds that a worker may go without progress.", "worker", limits
        )

    def _health(self) -> Iterator[Metric]:
        standing = Counter((issue.key, issue.severity.value) for issue in self._sources.health())
        yield labelled(
            "health_issues",
            "What is wrong now, by key; each key has its row in docs/status.md.",
            ("key", "severity"),
            {key: float(count) for key, count in standing.items()},
        )

    def _scrub(self) -> Iterator[Metric]:
        found = self._measured.scrub()
        yield counter(
            "scrub_clips", "Stored clips read again and whole, since the agent's start.", found.clips
        )
        yield counter("scrub_bytes", "Bytes of these.", found.bytes)
        yield gauge(
            "scrub_oldest_age_seconds",
            "Seconds since the clip was read that was not for longest.",
            found.oldest,
        )
        yield gauge("scrub_interval_seconds", "Configured: scrub.every.", found.every)
