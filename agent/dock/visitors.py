"""USB devices that the guard's rules tagged: the refused ones, and the recorders that bring no disk.

The verdict is the rules' (systemd/udev/59-recorder-station-guard.rules), in udev's database. Here it becomes
an event, once for each device.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.dock.describe import decoded
from agent.dock.events import Bystander, Event, Left
from agent.model import Problem, printable
from agent.privileged import ports

_GUARD = "RECORDER_STATION_GUARD"
_LONGEST = 40  # characters of what a device calls itself
_QUIET = 15.0  # seconds in which a recorder that was opened shows its disk; some take five to change into one


@dataclass(slots=True)
class _Visitor:
    bystander: Bystander
    due: float | None  # when it is told of, unless it has become a disk; None: that is settled


class Visitors:
    """By sysfs path. Used by the source's thread only."""

    def __init__(self, put: Callable[[Event], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._put = put
        self._monotonic = monotonic
        self._visitors: dict[str, _Visitor] = {}
        self._told: set[str] = set()

    def nodes(self) -> frozenset[str]:
        return frozenset(self._visitors)

    def seen(self, sysfs: str, bystander: Bystander | None) -> bool:
        """What sits there now; None: nothing, or something that is none of our business. True when new."""
        old = self._visitors.get(sysfs)
        if bystander == (old.bystander if old else None):
            return False
        self._forget(sysfs)
        if bystander is not None:
            due = None if bystander.refused else self._monotonic() + _QUIET
            self._visitors[sysfs] = _Visitor(bystander, due)
            if bystander.refused:
                self._tell(bystander)
        return True

    def wait(self, longest: float) -> float:
        """Seconds until `look` has something to do, at most `longest`."""
        due = [visitor.due for visitor in self._visitors.values() if visitor.due is not None]
        return max(0.0, min([longest, *(moment - self._monotonic() for moment in due)]))

    def look(self) -> None:
        """Tell of those that had their time. One that was a disk once, or that the station closed itself
        because it hung, is a recorder: its slot says more than that it charges."""
        for sysfs, visitor in self._visitors.items():
            if visitor.due is None:
                if sysfs in self._told and not visitor.bystander.refused and _has_disk(Path(sysfs)):
                    self._told.discard(sysfs)
                    self._put(Left(sysfs))
            elif _has_disk(Path(sysfs)) or not _is_open(Path(sysfs)):
                visitor.due = None
            elif visitor.due <= self._monotonic():
                visitor.due = None
                self._tell(visitor.bystander)

    def _tell(self, bystander: Bystander) -> None:
        self._told.add(bystander.node)
        self._put(bystander)

    def _forget(self, sysfs: str) -> None:
        self._visitors.pop(sysfs, None)
        if sysfs in self._told:
            self._told.discard(sysfs)
            self._put(Left(sysfs))


def bystander(properties: Mapping[str, str], sysfs: str, root: Path = ports.SYSFS) -> Bystander | None:
    """What a tagged USB device is, should it never become a disk. None without a verdict."""
    verdict = properties.get(_GUARD)
    if verdict not in ("refused", "allowed"):
        return None
    port = ports.locate(properties.get("ID_PATH", ""), sysfs, root).port
    ids = f"{properties.get('ID_USB_VENDOR_ID', '')}:{properties.get('ID_USB_MODEL_ID', '')}"
    named = printable(decoded(properties.get("ID_USB_MODEL_ENC", "")).strip())[:_LONGEST]
    params = {"product": named or ids, "ids": ids, "port": port}
    if verdict == "allowed":
        return Bystander(sysfs, port, Problem("charging-only", params))
    kind = properties.get("RECORDER_STATION_REFUSED", "unknown")
    return Bystander(sysfs, port, Problem("refused-device", {"kind": kind, **params}), refused=True)


def _has_disk(usb: Path) -> bool:
    return any(usb.glob("*:*/host*/target*/*/block"))


def _is_open(usb: Path) -> bool:
    try:
        return (usb / "authorized").read_text().strip() != "0"
    except OSError:
        return False  # it is gone; that is told soon
