"""Talks to the running agent: plain HTTP over its Unix socket."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from agent.errors import Stop

_TIMEOUT = 10.0  # seconds


class NoAgent(Stop):
    """Nobody listens at the socket."""

    key = "no-agent"


class Client:
    """One request, one connection: commands are short, and an agent may restart between two."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, resource: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON. Raises NoAgent, Stop `agent-forbidden`, `agent-error` or what the agent says."""
        return self._ask("GET", f"{resource}?{urlencode(params)}" if params else resource)

    def post(self, resource: str, arguments: Mapping[str, str]) -> Any:
        """As `get`, for what changes something."""
        return self._ask("POST", resource, json.dumps(arguments))

    def _ask(self, method: str, resource: str, body: str | None = None) -> Any:
        connection = UnixConnection(self._path)
        try:
            connection.request(method, resource, body)
            answer = connection.getresponse()
            return _understood(answer.status, answer.read())
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoAgent(socket=str(self._path)) from error
        except PermissionError as error:
            raise Stop("agent-forbidden", socket=str(self._path)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Stop("agent-error", status="-", reason=str(error) or repr(error)) from error
        finally:
            connection.close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _understood(status: int, body: bytes) -> Any:
    if status == 200:
        return json.loads(body)
    if status in (400, 403, 503):
        told = json.loads(body)
        raise Stop(told["key"], **told["params"])
    reason = http.client.responses.get(status, "")
    raise Stop("agent-error", status=status, reason=reason)
