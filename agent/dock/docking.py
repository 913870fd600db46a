"""Reads one volume of one docked recorder: driver, mount, session, collect, and everything back again."""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from agent.dock.board import Board
from agent.dock.reporter import VolumeReporter
from agent.dock.siblings import awaited
from agent.errors import DeviceGone, Locked, NoRoom, Retry, StationError, Stopping, StoreFull, Unsupported
from agent.model import Device, DeviceKind, Port, Reporter, printable
from drivers.base import Driver, Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Docking:
    """One volume of one recorder, in a slot."""

    id: str  # the same for all volumes of one docking
    slot: str
    device: Device


class Lender(Protocol):
    def lend(
        self, device: Device, docking: str, beat: Callable[[], None]
    ) -> AbstractContextManager[Port]: ...


Collect = Callable[[Session, Docking, Reporter], bool]
"""Take all clips of a volume; True when every one of them is safe at the station."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all slots share."""

    board: Board
    mounts: Lender
    choose: Callable[[Device], Driver | None]
    collect: Collect
    monotonic: Callable[[], float] = time.monotonic
    grace: float = 2.0  # seconds in which a disk may still get partitions, a recorder its second LUN
    again: float = 30.0  # seconds until one that still records, or met a full store, is first read again
    awaited: Callable[[Device], Collection[str]] = awaited
    lost: Callable[[], Collection[str]] = tuple  # recorders of which a copy went bad since the last question
    patience: float = 30.0  # seconds that a part of a recorder which does not come may hold up the rest


class Result(Enum):
    """How the reading of one volume ended."""

    COLLECTED = auto()
    INCOMPLETE = auto()
    AGAIN = auto()  # incomplete now, and worth another look
    REFUSED = auto()  # the same, but nothing was begun: it may as well go elsewhere
    FAILED = auto()
    LOCKED = auto()
    GONE = auto()


RETRIED = frozenset({Result.AGAIN, Result.REFUSED})


def read_volume(docking: Docking, tools: Tools, reporter: VolumeReporter) -> Result:
    """Never raises anything but Stopping: a fault of one recorder, or of the code that reads it, stays in
    its slot."""
    try:
        collected = _collect(docking, tools, reporter)
    except Stopping:
        raise
    except DeviceGone:
        reporter.pulled()
        return Result.GONE
    except StationError as e:
        log.warning("slot %s: %s: %s", docking.slot, printable(docking.device.node), e)
        reporter.problem(e.key, **e.params)
        if isinstance(e, NoRoom):
            reporter.refused()
            return Result.REFUSED
        if isinstance(e, Locked):
            return Result.LOCKED
        return Result.AGAIN if isinstance(e, Retry | StoreFull) else Result.FAILED
    except Exception as e:
        log.exception("slot %s: %s", docking.slot, printable(docking.device.node))
        reporter.problem("internal", error=str(e) or repr(e))
        return Result.FAILED
    if reporter.worth_another_look and not collected:
        return Result.AGAIN
    return Result.COLLECTED if collected else Result.INCOMPLETE


def _collect(docking: Docking, tools: Tools, reporter: VolumeReporter) -> bool:
    device = docking.device
    if device.kind is DeviceKind.DISK:
        if device.fs_type:
            raise Unsupported("unknown-file-system", fs_type=device.fs_type)
        raise Unsupported("no-file-system")
    driver = tools.choose(device)
    if driver is None:
        raise Unsupported
    with tools.mounts.lend(device, docking.id, reporter.check) as port:
        reporter.check()
        try:
            with closing(driver.open(device, port)) as session:
                return tools.collect(session, docking, reporter)
        except OSError as e:
            if not port.present():
                raise DeviceGone from e
            raise
