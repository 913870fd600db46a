"""By which name the centre knows this station: the same whatever it is called, and while its disk lives."""

import logging
import re
import secrets
from pathlib import Path

from agent import booted, durable

_FILE = "station-id"
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)  # as a machine id is written (machine-id(5))
_log = logging.getLogger(__name__)


def station_id(store: Path) -> str:
    """On a station image its machine id, elsewhere one that was made by chance and lies in the store."""
    if _ID.fullmatch(found := booted.machine_id()):
        return found
    file = store / _FILE
    try:
        kept = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        pass
    else:
        if _ID.fullmatch(kept):
            return kept
        _log.error("%s holds no id of a station: another one is made", file)
    made = secrets.token_hex(16)
    durable.write_file(file, f"{made}\n".encode())
    return made
