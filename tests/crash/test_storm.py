"""A network that fails, kill -9 of agent and server, a mixed load: it all arrives, once, and nothing is left.

`RECORDER_STATION_FAULTS` says how many faults and kills (20 without it, about a minute for each centre;
the full run is 100, four to five minutes), `RECORDER_STATION_SEED` which ones: a storm finds the same
again, as far as time is the same.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.catalog.home import catalog_path
from tests.crash.centres import Centre, S3Centre, TusCentre
from tests.crash.locked import LockedCentre
from tests.crash.promises import Broken
from tests.crash.storm import Storm, tale
from tests.here import require
from tests.servers.faults import Reply, Rule

FAULTS = int(os.environ.get("RECORDER_STATION_FAULTS", "20"))
SEED = int(os.environ.get("RECORDER_STATION_SEED", "20260115"))
CENTRES = [S3Centre, LockedCentre, TusCentre]


@pytest.fixture(params=CENTRES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    require("rclone")
    (tmp_path / "servers").mkdir()
    with request.param(tmp_path / "servers") as made:
        yield made


def test_after_a_storm_every_clip_is_at_the_centre_and_confirmed_once(centre: Centre, tmp_path: Path) -> None:
    print(f"RECORDER_STATION_SEED={SEED}")
    with Storm(tmp_path, centre, SEED) as storm:
        storm.rage(FAULTS)
        begun = storm.calm()
    files = sum(len(one.files) for one in storm.rack.contents.values())
    print(f"{dict(storm.kills)} killed, {dict(storm.faults)} struck, {files} files arrived, {begun} swept")
    assert storm.kills.total() + storm.faults.total() >= FAULTS


# The test above must be able to fail.

RECEIPTS_ARE_MADE_FROM_OUR_OWN_FIGURES = """
from agent.model import Receipt
from agent.upload.targets.s3.target import S3Target
S3Target.finish = lambda self, clip, token, check: None
def verify(self, clip, token, check, *, read_back=False):
    return Receipt("?", clip.manifest.size, clip.manifest.sha256, 0.0, self.place())
S3Target.verify = verify
"""
A_SERVER_THAT_IS_BUSY_REFUSES = """
from agent.errors import Rejected
from agent.upload.targets.s3 import errors
errors._by_status = lambda *said: Rejected()
"""
#: To a long clip: a short one that is refused in a handful is offered once more, alone.
BUSY = Rule(Reply(503), "POST", r"\?uploads=$")
IMPORTANT_CLIPS_ARE_LOCKED_LIKE_OTHERS = """
from agent.retention.keeping import Keeping
matched = Keeping.matched
Keeping.matched = lambda self, row: matched(self, row._replace(important=0))
"""
NOTHING_IS_SENT_BY_TUS = """
from agent.model import Receipt
from agent.upload.targets.tus.named import NamedTarget
NamedTarget.send = lambda self, clip, token, *part: token
NamedTarget.finish = lambda self, clip, token, check: None
def verify(self, clip, token, check, *, read_back=False):
    return Receipt("?", clip.manifest.size, clip.manifest.sha256, 0.0, self.place())
NamedTarget.verify = verify
"""
A_TUS_SERVER_THAT_IS_BUSY_REFUSES = """
from agent.errors import Rejected
from agent.upload.targets.tus import errors
errors.told = lambda answer, key: Rejected()
"""
BUSY_TUS = Rule(Reply(503), "POST", r"\.json$")


@pytest.mark.parametrize(
    ("kind", "patch", "rules", "complaint"),
    [
        (S3Centre, RECEIPTS_ARE_MADE_FROM_OUR_OWN_FIGURES, [], "said to be confirmed, and not there"),
        (S3Centre, A_SERVER_THAT_IS_BUSY_REFUSES, [BUSY], "clips are .*rejected"),
        (LockedCentre, IMPORTANT_CLIPS_ARE_LOCKED_LIKE_OTHERS, [], "IMP.*is locked otherwise: .*held False"),
        (TusCentre, NOTHING_IS_SENT_BY_TUS, [], "said to be confirmed, and not there"),
        (TusCentre, A_TUS_SERVER_THAT_IS_BUSY_REFUSES, [BUSY_TUS], "clips are .*rejected"),
    ],
    ids=["receipts of our own", "refused at once", "locked alike", "nothing by tus", "refused by tus"],
)
def test_a_broken_agent_is_found_out(
    tmp_path: Path, kind: Callable[[Path], Centre], patch: str, rules: list[Rule], complaint: str
) -> None:
    with (
        kind(tmp_path / "servers") as centre,
        Storm(tmp_path, centre, SEED, patch) as storm,
        pytest.raises(Broken, match=complaint),
    ):
        storm.rage(0)
        storm.strike(*rules)
        storm.calm()


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (["confirmed"], ""),
        (["confirmed", "lost-at-target", "stored", "confirmed"], ""),
        ([], ""),
        (["confirmed", "stored", "confirmed"], "confirmed 2 times, and lost 0 times"),
        (["confirmed", "lost-at-target", "stored"], "confirmed 1 times, and lost 1 times"),
        (["rejected", "stored", "confirmed"], "became rejected"),
    ],
)
def test_a_tale_of_other_events_is_found_out(tmp_path: Path, events: list[str], complaint: str) -> None:
    catalog_path(tmp_path).parent.mkdir()
    with closing(sqlite3.connect(catalog_path(tmp_path))) as db, db:
        db.execute("CREATE TABLE clips (id, state)")
        db.execute("CREATE TABLE events (clip, kind, body)")
        for event in events:
            body = {} if event == "lost-at-target" else {"to": event}
            db.execute("INSERT INTO events VALUES (1, ?, ?)", (event, json.dumps(body)))
    found = list(tale(tmp_path))
    assert (complaint in found[0]) if complaint else not found
