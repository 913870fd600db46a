"""An empty catalog for each of many histories: made once, since its tables take longer than their steps."""

import functools
import tempfile
from pathlib import Path

from agent.catalog import Catalog


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        Catalog.open(path).close()
        return path.read_bytes()


def lay(path: Path) -> None:
    """To be opened there. One that lies there already stays: a house may be opened again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(_empty())
