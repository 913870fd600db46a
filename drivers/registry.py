"""All drivers. A new family is one more name here."""

import functools

from agent.model import Device
from drivers.base import Driver
from drivers.mass_storage import MassStorage
from drivers.simulated import Simulated


@functools.cache
def drivers() -> tuple[Driver, ...]:
    return (MassStorage(), Simulated())


def best(device: Device) -> Driver | None:
    """The driver that fits best; None when none does."""
    scored = [(score, driver) for driver in drivers() if (score := driver.match(device)) is not None]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None
