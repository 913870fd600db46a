"""Nothing goes that a rule or a hold protects, or that is not proven to be elsewhere: over random histories
of a real catalog, real uploads and real files, with crashes, wrong clocks and a centre that loses things.
"""

import os
import time
from pathlib import Path

import pytest

from agent.errors import Reject
from agent.retention.explain import explain
from tests.retained_house import DAY, STEPS, House

#: `RECORDER_STATION_HISTORIES=100000` runs that many; where memory is a file system, give `--basetemp` in it.
MANY = int(os.environ.get("RECORDER_STATION_HISTORIES", "60"))
FIRST = int(os.environ.get("RECORDER_STATION_FIRST", "1"))
_LENGTH = 30  # steps
_TOGETHER = 20  # histories of one test


def lived(root: Path, seed: int, patch: pytest.MonkeyPatch) -> House:
    root.mkdir()
    house = House(root, seed)
    patch.setattr(time, "time", lambda: house.now)
    patch.setattr("agent.catalog.door.stamp", house.stamp)
    patch.setattr("agent.retention.release._GROUP", 2)  # a crash may come between two of them
    house.start()
    weights = [weight for weight, _ in STEPS]
    house.dock()
    for _ in range(_LENGTH):
        [(_, step)] = house.random.choices(STEPS, weights)
        try:
            step(house)
        except (Reject, IndexError):  # there is nothing to lift, or it is so already
            continue
        house.judge()
    return house


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY, _TOGETHER))
def test_nothing_goes_that_must_be_kept_and_everything_else_does(tmp_path: Path, seed: int) -> None:
    went = 0
    for one in range(seed, min(seed + _TOGETHER, FIRST + MANY)):
        with pytest.MonkeyPatch.context() as patch:
            house = lived(tmp_path / str(one), one, patch)
            went += at_last(house)
            house.close()
    assert went > _TOGETHER / 2


def at_last(house: House) -> int:
    """When all is well again, and years have passed, what nothing holds has gone. How many clips have."""
    house.trusted, house.target.down = True, False
    house.mend_clock()
    house.tick()
    for account in house.said.clips.values():
        spoilt = house.root / "share" / "clips" / account.key
        if account.spoilt is not None and house.station.state(_of(house, account.key)) != "released":
            spoilt.unlink(missing_ok=True)
    house.wait(DAY * 8)
    house.send()
    for account in house.said.clips.values():
        if house.station.state(_of(house, account.key)) != "released":
            account.spoilt = None
    house.wait(DAY * 400)
    house.watch.now()
    for _ in range(2):  # the centre is asked in between
        house.release.step()
        house.send()
        house.judge()
    house.release.step()
    house.judge()
    gone = 0
    for clip, account in house.said.clips.items():
        released = house.station.state(clip) == "released"
        held = any(hold.may_cover(clip, account) for hold in house.said.holds.values())
        if not held and not _in_doubt(house, clip) and not _the_last(house, clip):
            assert released, f"nothing keeps clip {clip}: {house.why(clip)}"
            assert not house.station.path(account.key).exists()
        gone += released
    return gone


def _of(house: House, key: str) -> int:
    return next(clip for clip, account in house.said.clips.items() if account.key == key)


def _in_doubt(house: House, clip: int) -> bool:
    """A hold on an officer's time covers more than was certainly recorded then."""
    officer = house.said.clips[clip].officer
    return any(hold.scope == "officer" and hold.value == officer for hold in house.said.holds.values())


def _the_last(house: House, clip: int) -> bool:
    """Its time at the centre is over, and so it is not there any more, and is not sent there again: the copy
    here is the last one, and stays."""
    db, key = house.catalog.read(), house.said.clips[clip].key
    until = explain(db, clip, house.book.keeping(db), house.now, True, ["centre"]).centre.until
    return until <= house.now and not (house.root / "share" / "clips" / key).exists()
