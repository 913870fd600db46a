"""A station's catalog and log as custody makes them, without the rest of the station."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.catalog import Catalog, door
from agent.custody.log import heads
from agent.custody.log.keeper import Keeper
from agent.custody.verifier import Head, Note

STATION = "0123456789abcdef" * 2


class House:
    """`keeper` is made when first asked for, as by an agent that starts; `leave` ends that agent."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.custody = store / "custody"
        self.catalog = Catalog.open(store / "catalog" / "catalog.db")
        self._keeper: Keeper | None = None

    @property
    def keeper(self) -> Keeper:
        if self._keeper is None:
            self._keeper = Keeper(self.catalog, self.custody, STATION, gather=0.01, again=0.05)
        return self._keeper

    def happen(self, count: int = 1) -> None:
        """Some events, a commit each time."""

        def work(tx: sqlite3.Connection) -> None:
            for number in range(count):
                door.note(
                    tx, "docked", None, {"number": number, "officer": "警号", "text": "x" * (number % 40)}
                )

        self.catalog.write(work)

    def log(self) -> None:
        """Everything that happened is in the log, or what stands in the way is told."""
        while self.keeper.step():
            pass

    def heads(self, number: int) -> list[Head]:
        notes = [note for _, note in heads.walk(self.custody / str(number), f"station/{STATION}/{number}")]
        assert all(isinstance(note, Note) for note in notes)
        return [Head.parse(note.text) for note in notes if isinstance(note, Note)]

    def events(self, kind: str) -> list[tuple[int, dict[str, object]]]:
        rows = self.catalog.read().execute(
            "SELECT seq, body FROM events WHERE kind = ? ORDER BY seq", (kind,)
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def problems(self) -> list[str]:
        return [problem.key for problem in self.keeper.problems()]

    def leave(self) -> None:
        if self._keeper is not None:
            assert self._keeper.stop(10)
        self._keeper = None
        self.catalog.close()

    def back(self) -> "House":
        """The next agent on the same store."""
        self.leave()
        return House(self.store)


@contextlib.contextmanager
def house(store: Path) -> Iterator[House]:
    made = House(store)
    try:
        yield made
    finally:
        made.leave()


def meddle(store: Path, *statements: str) -> None:
    """What somebody with a raw connection and time does to the catalog: triggers are no hindrance then."""
    with contextlib.closing(sqlite3.connect(store / "catalog" / "catalog.db")) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers:
            db.execute(sql)
        db.commit()
