"""How long a clip is locked at the centre: for its period, and never longer.

From the recording on when its time can be believed, else from the docking. So a recorder whose clock says
1980 makes no clip free on arrival, and one that says 2099 locks none for a lifetime.
"""

import math
from dataclasses import dataclass

from agent.catalog.locks import Times
from agent.model import Lock

_DAY = 86400.0
#: Seconds before the docking in which a recording is believed to have been made: recorders are handed in
#: daily, and a clock that is off by more than this says something else.
_BELIEVED = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Periods:
    """Seconds; `math.inf` for ever."""

    ordinary: float = 183 * _DAY
    important: float = math.inf

    def lock(self, times: Times, now: float) -> Lock:
        """`now` is a trusted time, in seconds since the epoch."""
        period = self.important if times.important else self.ordinary
        if math.isinf(period):
            return Lock(hold=True)
        until = _beginning(times, now if times.docked is None else times.docked) + period
        return Lock(until) if until > now + _DAY else Lock()  # a server refuses what is over already


def _beginning(times: Times, docked: float) -> float:
    if times.recorded is None:
        return docked
    try:
        recorded = times.recorded.timestamp()  # the recorder's local time is the station's
    except (ValueError, OverflowError):  # the first or the last day of all: nobody can say it in seconds
        return docked
    return recorded if docked - _BELIEVED <= recorded <= docked else docked
