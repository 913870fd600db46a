"""The power goes at any moment, and whatever was said before still holds.

`RECORDER_STATION_CUTS` says how often (3 without it; the full run is 20, about an hour),
`RECORDER_STATION_SEED` which recorders and moments: one that fails fails again, as far as time is the same.
"""

import os
from collections.abc import Callable
from pathlib import Path

from tests.vm.conftest import Boot
from tests.vm.power import PowerCuts
from tests.vm.station import GIB, Order

CUTS = int(os.environ.get("RECORDER_STATION_CUTS", "3"))
#: The rack is kept full while cuts are to come, and a station without retention never forgets a clip.
DISK = 4 * GIB + CUTS * GIB // 4
SEED = int(os.environ.get("RECORDER_STATION_SEED", "20260115"))


def test_after_power_cuts_the_station_goes_on_and_nothing_is_lost_or_doubled(
    boot: Boot, shelf: Path, figure: Callable[[str], None]
) -> None:
    cuts = PowerCuts(boot(Order(size=DISK)), shelf, SEED)
    cuts.run(CUTS)
    figure(
        f"{CUTS} power cuts ({', '.join(cuts.cuts)}), {len(cuts.contents)} recorders, caught: "
        f"{dict(cuts.summary())}; power to READY after a cut: {max(cuts.boots):.0f} s at most"
    )
    for told in cuts.redocked:
        figure(f"docked again: {told}")
    assert len(cuts.cuts) == CUTS
