"""kill -9 at any moment, and whatever was said before still holds.

`RECORDER_STATION_KILLS` says how often (16 without it; the full run is 200, some five minutes),
`RECORDER_STATION_SEED` which recorders and moments: one that fails fails again, as far as time is the same.
A recorder that is shown as collected is gone for good in the same moment, and never docked again.
"""

import os
from pathlib import Path

import pytest

from tests.crash.moments import MOMENTS, while_uploading
from tests.crash.ordeal import Ordeal
from tests.crash.promises import Broken

KILLS = int(os.environ.get("RECORDER_STATION_KILLS", "16"))
SEED = int(os.environ.get("RECORDER_STATION_SEED", "20260115"))


def test_kills_at_any_moment_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    with Ordeal(tmp_path, SEED) as ordeal:
        ordeal.run(KILLS)
    print(f"{KILLS} kills, {len(ordeal.rack.contents)} recorders, {ordeal.spoilt} spoilt copies")
    print(dict(ordeal.summary()))
    assert len(ordeal.caught) == KILLS
    if len(MOMENTS) <= KILLS:
        assert {"seen", "copying", "delivery sending", "confirmed"} <= ordeal.summary().keys()


# The test above must be able to fail: agents that are broken on purpose, each in one line of one room.

NOTHING_IS_SEALED = """
from agent.ingest.store import Store
Store.seal = lambda self, clips: None
"""
COLLECTED_IS_SAID_AFTER_LISTING = """
from agent.dock.reporter import VolumeReporter
from agent.model import SlotState
listed = VolumeReporter.listed
def early(self, files, size):
    listed(self, files, size)
    self._tally.show(state=SlotState.COLLECTED)
VolumeReporter.listed = early
"""
RECEIPTS_ARE_MADE_FROM_OUR_OWN_FIGURES = """
from agent.model import Receipt
from agent.upload.targets.folder import FolderTarget
FolderTarget.finish = lambda self, clip, token, check: None
def verify(self, clip, token, check, *, read_back=False):
    return Receipt("?", clip.manifest.size, clip.manifest.sha256, 0.0, self.place())
FolderTarget.verify = verify
"""
TOKENS_ARE_NOT_SAVED = """
from agent.catalog import deliveries
put = deliveries._put
deliveries._put = lambda tx, clip, target, state, token, place: put(tx, clip, target, state, "", place)
"""


@pytest.mark.parametrize(
    ("patch", "kills", "complaint"),
    [
        (NOTHING_IS_SEALED, 0, "said to be stored|clips are quarantined"),
        (COLLECTED_IS_SAID_AFTER_LISTING, 0, "the centre: 0000001 lacks"),
        (RECEIPTS_ARE_MADE_FROM_OUR_OWN_FIGURES, 0, "said to be confirmed"),
        (TOKENS_ARE_NOT_SAVED, 3, "left in .*centre/incoming"),
    ],
    ids=["nothing sealed", "collected too early", "receipts of our own", "tokens not saved"],
)
def test_a_broken_agent_is_found_out(tmp_path: Path, patch: str, kills: int, complaint: str) -> None:
    trial = Ordeal(tmp_path, SEED, slots=2, patch=patch, moments=(while_uploading,))
    with trial, pytest.raises(Broken, match=complaint):
        trial.run(kills)


def test_the_same_trial_finds_nothing_wrong_with_the_agent_as_it_is(tmp_path: Path) -> None:
    with Ordeal(tmp_path, SEED, slots=2, moments=(while_uploading,)) as ordeal:
        ordeal.run(3)
    assert "delivery sending" in ordeal.summary()
