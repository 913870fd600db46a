"""A Prometheus with our rules, that scrapes stations of a list every second; and its promtool."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.servers.process import HOST, PATIENCE, Server, get

CONFIG = Path(__file__).parents[2] / "config"
RULES = CONFIG / "prometheus" / "recorder-station.rules.yaml"
_STEP = 0.1


class Prometheus(Server):
    """`stations`: as file_sd takes them. `over_tls`: the authority of their certificates, and a token."""

    def __init__(self, folder: Path, stations: str, over_tls: tuple[Path, str] | None = None) -> None:
        super().__init__(folder, ports=1)
        (folder / "stations.json").write_text(stations)
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        found = [{"files": [str(folder / "stations.json")]}]
        job: dict[str, Any] = {"job_name": "recorder-station", "file_sd_configs": found}
        if over_tls is not None:
            authority, token = over_tls
            job |= {"scheme": "https", "tls_config": {"ca_file": str(authority)}}
            job |= {"authorization": {"credentials": token}}
        said = {"global": every, "rule_files": [str(RULES)], "scrape_configs": [job]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(said))

    def command(self) -> Sequence[str | Path]:
        return [
            "prometheus",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.ports[0]}",
        ]

    def answers(self) -> bool:
        return get(f"http://{HOST}:{self.ports[0]}/-/ready").ok

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        answer = get(f"http://{HOST}:{self.ports[0]}/api/v1/query?" + urlencode({"query": query}))
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def until(self, query: str) -> dict[str, Any]:
        """The one sample of its result, once there is one."""
        end = time.monotonic() + PATIENCE
        while not (found := self.ask(query)):
            assert time.monotonic() < end, f"no answer to {query}: {self.ask('up')}"
            time.sleep(_STEP)
        [one] = found
        return one


def listed(address: str) -> str:
    """A list of one station, for file_sd."""
    return json.dumps([{"targets": [address], "labels": {"station": "1" * 32, "name": "test"}}])


def promtool(*words: str | Path, given: str = "") -> str:
    """What it said; an AssertionError unless it was content."""
    ran = subprocess.run(
        ["promtool", *words], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    return said
