"""A station as the network sees it: over TLS, with accounts and tokens."""

import json
import ssl
import subprocess
from collections.abc import Mapping
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from agent.access.roles import Role
from tests.web.station import Answer, Station, _ask

PASSWORD = "correct horse battery"


def certificate(folder: Path, *addresses: str) -> tuple[Path, Path]:
    """One that is its own authority, for this machine and its addresses, with its key."""
    names = ",".join(f"IP:{one}" for one in ("127.0.0.1", *filter(None, addresses)))
    crt, key = folder / "station.crt", folder / "station.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]  # that browsers know
    named = ["-days", "2", "-subj", "/CN=station", "-addext", f"subjectAltName={names}"]
    command: list[str | Path] = ["openssl", "req", "-x509", *curve, "-keyout", key, "-out", crt, *named]
    subprocess.run(command, check=True, capture_output=True)
    return crt, key


class Outsider:
    """Somebody's browser: keeps its cookie, and says where its pages come from."""

    def __init__(self, station: Station, trusted: Path, token: str = "") -> None:
        self._station, self._trusted = station, trusted
        self._context = ssl.create_default_context(cafile=trusted)
        self._token = token
        self.cookie = ""

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self._station.server.lan_port}"

    def ask(
        self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        port = self._station.server.lan_port
        assert port is not None
        said = {"Origin": self.origin} if method != "GET" else {}
        said |= {"Cookie": self.cookie} if self.cookie else {}
        said |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        raw = None
        if body is not None:
            raw, said["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = HTTPSConnection("127.0.0.1", port, timeout=10, context=self._context)
        answer = _ask(connection, path, {**said, **(headers or {})}, method, raw)
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        return answer

    def login(self, name: str, password: str = PASSWORD) -> Answer:
        return self.ask("/api/v1/session", "POST", {"name": name, "password": password})


def account(station: Station, name: str, role: Role, units: str = "", officer: str = "") -> None:
    commands = station.access.commands()
    commands["account-set"]({"name": name, "role": role, "units": units, "officer": officer}, "uid 0")
    commands["account-password"]({"name": name, "password": PASSWORD}, "uid 0")


def token(station: Station, name: str) -> str:
    return str(station.access.commands()["token-make"]({"name": name}, "uid 0")["secret"])
