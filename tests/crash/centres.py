"""The centres that a storm rages before: a real server that can be killed, and a look at it that goes
neither through the station's code nor through the bad network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import requests

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.sign import Credentials
from agent.upload.targets.s3.target import S3Target
from tests.servers.process import Server
from tests.servers.rclone import Rclone
from tests.servers.weed import PLAIN, STATION, Weed


class Centre(Protocol):
    server: Server
    #: (method, path) of each kind of request that a station makes
    requests: Sequence[tuple[str, str]]

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    @property
    def port(self) -> int:
        """At which stations reach the server."""
        ...

    def target(self, url: str) -> Mapping[str, Any]:
        """The section of a station's configuration, for a server at `url`."""
        ...

    def object(self, key: str) -> bytes | None: ...

    def copy_back(self, to: Path) -> None:
        """Everything that lies there, by an independent client."""
        ...

    def begun(self) -> Sequence[str]:
        """Transfers that were neither finished nor aborted."""
        ...

    def sweep(self) -> int:
        """As a station would that goes on with nothing, after a month."""
        ...


class S3Centre:
    requests: Sequence[tuple[str, str]] = (
        ("PUT", r"\.mp4$"),
        ("PUT", r"partNumber="),
        ("PUT", r"\.json$"),
        ("POST", r"\?uploads=$"),
        ("POST", r"\?uploadId=[^&]*$"),
        ("HEAD", r""),
        ("GET", r"\.json$"),
        ("GET", r"\?uploadId="),
        ("GET", r"\.mp4$"),
        ("GET", r"recorder-station-target$"),
        ("DELETE", r""),
    )

    def __init__(self, folder: Path) -> None:
        self._keys = folder / "keys"
        self._weed = Weed(folder / "server")
        self.server: Server = self._weed

    def __enter__(self) -> Self:
        self._weed.__enter__()
        self._keys.write_text(
            f"[default]\naws_access_key_id={STATION.access}\naws_secret_access_key={STATION.secret}\n"
        )
        self._keys.chmod(0o600)
        return self

    def __exit__(self, *_: object) -> None:
        self._weed.stop()

    @property
    def port(self) -> int:
        return self._weed.ports[0]

    def target(self, url: str) -> Mapping[str, Any]:
        return {"kind": "s3", "url": url, "plaintext": True, "bucket": PLAIN, "credentials": str(self._keys)}

    def object(self, key: str) -> bytes | None:
        answer = requests.get(self._weed.object(f"clips/{key}"), timeout=60)
        return answer.content if answer.status_code == 200 else None

    def copy_back(self, to: Path) -> None:
        self._rclone.copy(PLAIN, to)

    def begun(self) -> Sequence[str]:
        return self._rclone.begun(PLAIN)

    def sweep(self) -> int:
        keys = Credentials(STATION.access, STATION.secret)
        bucket = Bucket(Wire(Line()), self._weed.url, PLAIN, lambda: keys)
        return S3Target("centre", "s3", bucket, first_contact=False).sweep((), age=-3600)

    @property
    def _rclone(self) -> Rclone:
        return Rclone(self._weed.url, STATION)
