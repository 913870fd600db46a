"""kill -9 at exact lines: right before or after each step that changes a disk, one after the other.

The agent kills itself there. Where `test_kill` leaves to chance what it hits, this misses no line it names.
"""

from pathlib import Path
from random import Random

import pytest

from tests.crash.ordeal import Ordeal
from tests.crash.promises import Broken
from tests.crash.test_kill import SEED

LINES = (
    "before agent.upload.targets.share:publish",  # of the mark, at first contact
    "after agent.catalog.intake:see",
    "after agent.catalog.intake:start",
    "after agent.ingest.store:Store.flush",
    "after agent.catalog.intake:describe",
    "before agent.ingest.store:Store.seal",
    "after agent.ingest.store:Store._write_sidecar",
    "after agent.ingest.store:Store._rename",
    "after agent.ingest.store:Store.seal",
    "after agent.catalog.intake:store",
    "before agent.ingest.store:Store.rewrite_sidecar",
    "before agent.durable:drop_cache",
    "after agent.ingest.store:Store.rewrite_sidecar",
    "after agent.ingest.store:Store.discard",
    "after agent.catalog.intake:end_docking",
    "before agent.ingest.recover:settle",
    "after agent.ingest.store:Store.sweep",
    "after agent.catalog.deliveries:begin",
    "before agent.upload.targets.folder:FolderTarget.send",
    "after agent.upload.targets.folder:FolderTarget.send",
    "after agent.upload.targets.share:lay",
    "before agent.upload.targets.share:publish",
    "after agent.upload.targets.share:publish",
    "after agent.catalog.deliveries:sent",
    "before agent.upload.targets.folder:FolderTarget.verify",
    "after agent.upload.targets.folder:FolderTarget.verify",
    "after agent.catalog.deliveries:confirmed",
)
_DIE = """
import importlib, os, signal
def arm(module, path, when, turn):
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real, turns = getattr(owner, name), iter(range(1, 1000000))
    def dying(*args, **kwargs):
        mine = next(turns)
        if when == "before" and mine == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if when == "after" and mine >= turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, dying)
"""
#: These happen once or twice in a docking; of the others it may be any of the first.
_RARE = ("rewrite_sidecar", "settle", "sweep", "end_docking", "seal", "see", "start")


def patch(line: str, turn: int) -> str:
    when, _, place = line.partition(" ")
    module, _, path = place.partition(":")
    return f"{_DIE}arm({module!r}, {path!r}, {when!r}, {turn})\n"


def test_a_kill_at_any_line_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    rng = Random(SEED)
    with Ordeal(tmp_path, SEED, slots=2) as ordeal:
        for line in LINES:
            first = line is LINES[0] or line.endswith(_RARE)
            ordeal.die(patch(line, 1 if first else rng.randint(1, 3)))
        ordeal.finish()


def test_an_agent_that_does_not_die_where_it_should_is_found_out(tmp_path: Path) -> None:
    with Ordeal(tmp_path, SEED, slots=1) as ordeal, pytest.raises(Broken, match="it ended with 1"):
        ordeal.die(patch("after agent.ingest.store:Store.no_such_step", 1))
