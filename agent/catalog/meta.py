"""Small facts about the catalog itself, by key: text, one value for each."""

import sqlite3


def get(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def put(tx: sqlite3.Connection, key: str, value: str) -> None:
    """Inside `Catalog.write`."""
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
