"""Host name and time servers of this station, as the configuration names them.

Read from the files one by one rather than as a valid whole: a station whose `station.yaml` has a fault still
needs the name and the time that stand in it.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from agent.config.documents import merge
from agent.config.layers import read_layers
from agent.config.schema import StationConfig
from agent.image.files import put
from agent.image.paths import Paths
from agent.image.report import Report
from agent.image.system import System

_LABEL = 63  # characters of one part of a host name


def said_of_station(paths: Paths) -> StationConfig:
    """Each key of `station` that is valid by itself; the others as by default."""
    section: dict[str, Any] = {}
    for document in read_layers(paths.station):
        written = document.data.get("station")
        section = merge(section, written if isinstance(written, dict) else {})
    return StationConfig(**{key: value for key, value in section.items() if _is_valid(key, value)})


def _is_valid(key: str, value: Any) -> bool:
    try:
        StationConfig.model_validate({key: value})
    except ValidationError:
        return False
    return True


def set_host_name(paths: Paths, system: System) -> None:
    station = said_of_station(paths)
    own = f"station-{machine_id(paths)[:8]}"
    name = host_name(station.name) if "name" in station.model_fields_set else own
    put(system, paths.host_name, f"{name}\n".encode())
    system.set_host_name(name)


def machine_id(paths: Paths) -> str:
    return paths.machine_id.read_text(encoding="ascii", errors="replace").strip()


def host_name(name: str) -> str:
    """One label of a DNS name. For what a name has beside letters and digits of ASCII stand some digits of
    its digest, so that 东站1 and 西站1 are two machines."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    whole = name.isascii()
    if not whole or not re.search(r"[a-z]", plain) or len(plain) > _LABEL:
        plain = f"station-{plain}" if not re.match(r"station\b", plain) else plain
        if not whole or len(plain) > _LABEL:
            plain = f"{plain[: _LABEL - 9].strip('-')}-{sha256(name.encode()).hexdigest()[:8]}"
    return plain.strip("-")


def set_time_servers(paths: Paths, system: System, report: Report, restart: Callable[[], None]) -> None:
    """What was in force before goes when nothing is named any more."""
    servers = said_of_station(paths).ntp
    if servers:
        paths.time_servers.parent.mkdir(parents=True, exist_ok=True)
        changed = put(system, paths.time_servers, f"[Time]\nNTP={' '.join(servers)}\n".encode())
    else:
        changed = paths.time_servers.exists()
        paths.time_servers.unlink(missing_ok=True)
    if changed:
        restart()
