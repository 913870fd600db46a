"""Brings the schema up to date: each migration in one transaction together with its record."""

import os
import sqlite3
import time
from importlib import resources
from pathlib import Path

from agent import durable
from agent.catalog import faults
from agent.errors import CatalogError


def steps() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of every migration that this agent knows, in order."""
    folder = resources.files("agent.catalog") / "migrations"
    found = []
    for entry in folder.iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            found.append((int(number), name, entry.read_text("utf-8")))
    return sorted(found)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Raises CatalogError `catalog-newer` when a newer agent has written this catalog: it is not ours
    to write, whatever its tables look like."""
    known = steps()
    have = version(connection)
    if have > known[-1][0]:
        raise CatalogError("catalog-newer", path=str(path), schema=have, known=known[-1][0])
    due = [step for step in known if step[0] > have]
    if due and have:
        _copy_aside(connection, path, have)
    for number, name, sql in due:
        record = (
            "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT, at REAL) STRICT;"
            f"INSERT INTO migrations VALUES ({number}, '{name}', {time.time()});"
            f"PRAGMA user_version = {number};"
        )
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{sql};{record}COMMIT;")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if faults.of_the_machine(error):
                raise
            raise CatalogError("catalog-migration", number=number, reason=str(error)) from error


def _copy_aside(connection: sqlite3.Connection, path: Path, have: int) -> None:
    copy = path.with_name(f"{path.name}.before-{have + 1}")
    partial = copy.with_name(copy.name + ".tmp")
    partial.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(partial),))
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(copy)
    durable.sync_folder(copy.parent)
