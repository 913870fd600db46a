"""Whatever rots in the store, and whatever the centre gives: no recording loses its last good copy by the
station, no wrong byte is called whole, and in the end every copy is whole; over random histories with kills.
"""

import os
from pathlib import Path

import pytest

from tests.scrubbing_histories import LENGTH, STEPS, Life

pytestmark = pytest.mark.usefixtures("trusted_clock")

#: `RECORDER_STATION_HISTORIES=10000` runs that many.
MANY = int(os.environ.get("RECORDER_STATION_HISTORIES", "40"))
FIRST = int(os.environ.get("RECORDER_STATION_FIRST", "1"))
_TOGETHER = 10  # histories of one test


def lived(root: Path, seed: int) -> int:
    """How often a copy was made whole in it."""
    with pytest.MonkeyPatch.context() as patch:
        life = Life(root, seed, patch)
        weights = [weight for weight, _ in STEPS]
        life.record()
        for _ in range(LENGTH):
            [(_, step)] = life.random.choices(STEPS, weights)
            step(life)
            life.nothing_is_lost()
        life.at_last()
        life.house.stop()
        return life.healed


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY, _TOGETHER))
def test_no_recording_loses_its_last_good_copy_and_every_copy_becomes_whole(
    tmp_path: Path, seed: int
) -> None:
    healed = 0
    for one in range(seed, min(seed + _TOGETHER, FIRST + MANY)):
        try:
            healed += lived(tmp_path / str(one), one)
        except BaseException as error:
            error.add_note(f"history {one}")
            raise
    assert healed
