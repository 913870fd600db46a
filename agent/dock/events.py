"""What happens at a port."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.model import Device, Problem, SlotState


@dataclass(frozen=True, slots=True)
class Arrived:
    """`device.node` was not there before, or a disk without a file system has one now."""

    device: Device


@dataclass(frozen=True, slots=True)
class Left:
    """Pulled, its medium taken out, or something else sits at this node now (then Arrived follows)."""

    node: str


@dataclass(frozen=True, slots=True)
class Bystander:
    """Something is plugged in that brings nothing to collect, and why. `Left` ends it."""

    node: str  # its path in sysfs: unique while it is plugged in
    port: str
    problem: Problem
    refused: bool = False  # by the USB guard
    lun: int = 0
    state: SlotState = SlotState.FAILED  # what its slot shows


@dataclass(frozen=True, slots=True)
class Ordered:
    """Somebody had a slot stopped, or used again."""

    slot: str
    out_of_use: float | None  # since when, seconds since the epoch; None: it is used


Event = Arrived | Left | Bystander | Ordered


class Source(Protocol):
    """Watches one kind of ports. Events of one node come in order, each once."""

    name: str

    def start(self, put: Callable[[Event], None]) -> None:
        """Begin to watch; what is plugged in already is reported soon after, in the source's own thread."""
        ...

    def stop(self) -> None: ...

    def alive(self) -> bool:
        """Whether it notices what happens at its ports."""
        ...

    def idle_for(self) -> float:
        """Seconds since its thread last came round; it does so at least every `reconcile` seconds."""
        ...
