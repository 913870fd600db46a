"""The two root slots: which one runs, which one is on trial, and whether the last trial failed.

The boot loader keeps it in its environment. RAUC's handler sets TRIAL before a slot is written; the boot
loader lets a slot on trial start once (TRY=1); when its agent is ready, TRIAL goes. So a TRIAL that names the
slot which does not run, with its one try used up, is a fall-back.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from agent.image.files import content
from agent.image.paths import Paths

NAMES = ("A", "B")
_LINE = re.compile(r"([A-Z_]+)=(.*)")


class SlotState(StrEnum):
    GOOD = "good"
    ON_TRIAL = "on-trial"  # runs, and is not known to be good yet
    WAITS = "waits"  # installed; starts on trial at the next boot
    FELL_BACK = "fell-back"  # its one try was in vain
    UNFINISHED = "unfinished"  # its installation was cut short
    BAD = "bad"  # nothing that could start


@dataclass(frozen=True, slots=True)
class Slots:
    running: str  # one of NAMES; "" when the boot loader did not say
    states: dict[str, SlotState]

    @property
    def fell_back(self) -> str:
        """The slot whose trial failed; "" when none did."""
        return next((name for name, state in self.states.items() if state is SlotState.FELL_BACK), "")

    @property
    def on_trial(self) -> bool:
        return SlotState.ON_TRIAL in self.states.values()


def slots(paths: Paths) -> Slots:
    """Raises FileNotFoundError, or Stop, where there is no environment of a boot loader."""
    said = environment(content(paths.grub_environment))
    found = re.search(r"(?:^|\s)rauc\.slot=([AB])(?:\s|$)", paths.kernel_line.read_text(errors="replace"))
    running = found[1] if found else ""
    return Slots(running, {name: _state(name, running, said) for name in NAMES})


def environment(block: bytes) -> dict[str, str]:
    lines = block.decode("ascii", "replace").splitlines()
    return {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line))}


def _state(name: str, running: str, said: dict[str, str]) -> SlotState:
    ok, tried = said.get(f"{name}_OK") == "1", said.get(f"{name}_TRY") == "1"
    if said.get("TRIAL") != name:
        return SlotState.GOOD if ok else SlotState.BAD
    if name == running:
        return SlotState.ON_TRIAL
    if tried:
        return SlotState.FELL_BACK
    return SlotState.WAITS if ok else SlotState.UNFINISHED
