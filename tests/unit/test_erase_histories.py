"""Never is anything removed from a recorder that is not listed, safe elsewhere, as it was copied and unheld:
over random histories, with pulls, kills, holds that come meanwhile, and a centre that loses things.
"""

import os
import time
from pathlib import Path

import pytest

from tests.erasing_histories import STEPS, Life

pytestmark = pytest.mark.usefixtures("trusted_clock")

#: `RECORDER_STATION_HISTORIES=10000` runs that many.
MANY = int(os.environ.get("RECORDER_STATION_HISTORIES", "40"))
FIRST = int(os.environ.get("RECORDER_STATION_FIRST", "1"))
_LENGTH = 30  # steps
_TOGETHER = 10  # histories of one test


def lived(root: Path, seed: int) -> int:
    """How many files were erased in it."""
    with pytest.MonkeyPatch.context() as patch:
        life = Life(root, seed, patch)
        patch.setattr(time, "time", lambda: life.now)
        weights = [weight for weight, _ in STEPS]
        life.record()
        for _ in range(_LENGTH):
            [(_, step)] = life.random.choices(STEPS, weights)
            step(life)
        life.at_last()
        life.house.stop()
        return life.removed


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY, _TOGETHER))
def test_nothing_is_erased_that_must_stay_and_everything_else_is(tmp_path: Path, seed: int) -> None:
    removed = 0
    for one in range(seed, min(seed + _TOGETHER, FIRST + MANY)):
        try:
            removed += lived(tmp_path / str(one), one)
        except BaseException as error:
            error.add_note(f"history {one}")
            raise
    assert removed > _TOGETHER
