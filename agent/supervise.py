"""Threads whose end is noticed, and systemd's protocol fed by their progress.

`WATCHDOG=1` is sent only while every worker that counts beats. A slot that is stuck in the kernel is
taken off that list by the dock: it must not take the station down.
"""

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable

import sdnotify

log = logging.getLogger(__name__)

_IDLE = 20.0  # seconds between two looks when systemd does not ask for a watchdog

#: (name, seconds since its last progress, seconds that it may take)
Beats = Callable[[], Iterable[tuple[str, float, float]]]


class Supervisor:
    """Owns the main thread from READY to the end."""

    def __init__(self, beats: Iterable[Beats]) -> None:
        self._beats = list(beats)
        self._notifier = sdnotify.SystemdNotifier()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stop = False
        self.failure = ""
        self._came_round = time.monotonic()

    def idle_for(self) -> float:
        """Seconds since all beats were asked last, which hangs with what they ask. From any thread."""
        return time.monotonic() - self._came_round

    def fatal(self, name: str) -> None:
        """A thread that must not end has ended: the process goes, systemd starts it anew."""
        self.failure = self.failure or name
        os.write(self._wake, b"!")

    def watch_threads(self) -> None:
        """An exception that escapes a thread is fatal, never silent."""

        def hook(args: threading.ExceptHookArgs) -> None:
            name = args.thread.name if args.thread else "thread"
            kind = args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
            log.critical("%s ended", name, exc_info=kind)
            self.fatal(name)

        threading.excepthook = hook

    def handle_signals(self) -> None:
        # The kernel may give a signal to any thread, and Python runs its handler in the main one only,
        # which it does not wake: the byte that it writes to the pipe does.
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True
        os.write(self._wake, b"!")

    def ready(self, status: str) -> None:
        self._notifier.notify("READY=1")
        self.status(status)

    def status(self, text: str) -> None:
        self._notifier.notify(f"STATUS={text}")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1")

    def run(self, summary: Callable[[], str]) -> None:
        """Beat until a signal or a fatal end. The period is a third of what systemd allows.

        Never raises: what fails here, such as the catalog's commit of nothing, is a fatal end as well, and
        whoever runs it stops the rooms in order."""
        try:
            self._beat_on(summary)
        except Exception:
            log.critical("supervision ended", exc_info=True)
            self.fatal("supervision")

    def _beat_on(self, summary: Callable[[], str]) -> None:
        period = _period()
        shown = ""
        while not self._stop and not self.failure:
            late = self.late()
            self._came_round = time.monotonic()
            if late:
                log.error("no progress: %s", ", ".join(late))
            else:
                self._notifier.notify("WATCHDOG=1")
            text = summary()
            if text != shown:
                self.status(text)
                shown = text
            select.select([self._woken], [], [], period)

    def late(self) -> list[str]:
        """Names of the workers that have made no progress for longer than they may."""
        return [
            f"{name} ({since:.0f} s)"
            for beats in self._beats
            for name, since, allowed in beats()
            if since > allowed
        ]


def _period() -> float:
    allowed = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    return allowed / 3 if allowed else _IDLE
