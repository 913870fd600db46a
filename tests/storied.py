"""A station with real clips that keeps its log, judges what is missing, and loses its catalog."""

import json
import shutil
from pathlib import Path
from typing import Any

from agent.catalog import events
from agent.catalog.events import Event
from agent.custody.audit.finding import Finding, Looked
from agent.custody.audit.store import audit
from agent.custody.completeness.judge import Judge
from agent.custody.log.keeper import Keeper
from agent.custody.log.leaf import entry
from agent.custody.rebuild import Done, rebuild_store
from tests.custody_house import STATION
from tests.dockside import Dockside

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
LATER = 4e9  # seconds: by then every event is in the log, and every visit is over
#: Where a catalog from before and a rebuilt one must tell the same, and what they tell of it.
TOLD = {
    "dockings": "SELECT id, slot, recorder, fs_id, officer, started, round(ended, 1), outcome, clock_trusted,"
    " conflict, listed, urgency FROM dockings ORDER BY id",
    "clips": "SELECT id, recorder, fs_id, path, size, mtime_ns, docking, round(seen_at, 1), kind, important,"
    " assigned, officer, sequence, recorded_at, time_source, name_parsed, partial, key, sha256, merged_into"
    " FROM clips ORDER BY id",
    "names": "SELECT recorder, fs_id, path, size, mtime_ns, samples, clip FROM names ORDER BY path, id",
    "manifests": "SELECT * FROM manifests ORDER BY clip",
    "findings": "SELECT id, rule, recorder, docking, facts, state, event FROM findings ORDER BY id",
    "clock_offsets": "SELECT * FROM clock_offsets ORDER BY docking",
    "labels": "SELECT * FROM labels ORDER BY clip",
    "cases": "SELECT * FROM cases ORDER BY number",
    "holds": "SELECT * FROM holds ORDER BY id",
    "rulesets": "SELECT * FROM rulesets ORDER BY id",
    "accounts": "SELECT name, role, units, officer, removed, event FROM accounts ORDER BY name",
    "tokens": "SELECT id, name, expires, revoked FROM tokens ORDER BY id",
    "acknowledgements": "SELECT * FROM acknowledgements ORDER BY id",
    "stopped_slots": "SELECT * FROM stopped_slots ORDER BY id",
}


class Storied:
    def __init__(self, root: Path) -> None:
        self.root, self.side = root, Dockside(root)
        self.keeper = Keeper(self.side.catalog, self.custody, STATION)

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def custody(self) -> Path:
        return self.store / "custody"

    def log(self) -> list[str]:
        """Take over what happened; what is wrong with the log now."""
        while self.keeper.step():
            pass
        return [problem.key for problem in self.keeper.problems()]

    def judge(self) -> int:
        return Judge(self.side.catalog).step(LATER)

    def told(self, last: int = 1 << 60) -> dict[str, list[tuple[Any, ...]]]:
        """By table; of the events those up to number `last`."""
        db = self.side.catalog.read()
        told = {
            table: [tuple(map(_plain, row)) for row in db.execute(query)] for table, query in TOLD.items()
        }
        entries = [(entry(Event(*row)),) for row in events.rows(db, 1, last)]
        return {"events": entries, **told}

    def states(self) -> dict[int, str]:
        return dict(self.side.catalog.read().execute("SELECT id, state FROM clips").fetchall())

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = self.side.catalog.read().execute(
            "SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,)
        )
        return [json.loads(row[0]) for row in rows]

    def last(self) -> int:
        return int(self.side.catalog.read().execute("SELECT max(seq) FROM events").fetchone()[0])

    def audited(self) -> list[Finding]:
        return list(audit(self.store, Looked(), LATER))

    def lose(self) -> None:
        self.side.close()
        shutil.rmtree(self.store / "catalog")

    def rebuild(self) -> Done:
        """The catalog is lost, and made anew; the station goes on."""
        self.lose()
        done = rebuild_store(self.store, STATION)
        self.back()
        return done

    def back(self) -> None:
        self.side = Dockside(self.root)
        self.keeper = Keeper(self.side.catalog, self.custody, STATION)

    def close(self) -> None:
        self.side.close()


def _plain(value: Any) -> Any:
    """As an entry of the log tells it: in JSON no order is meant, and times are exact to the microsecond."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.loads(value)
    return round(value, 5) if isinstance(value, float) else value
