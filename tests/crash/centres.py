"""The centres that a storm rages before: a real server that can be killed, and a look at it that goes
neither through the station's code nor through the bad network."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol, Self

import requests

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.sign import Credentials
from agent.upload.targets.s3.target import S3Target
from agent.upload.targets.tus.named import NamedTarget
from agent.upload.targets.tus.protocol import Server as Tus
from tests.crash import weather
from tests.servers.faults import Reply
from tests.servers.process import Server
from tests.servers.rclone import Rclone
from tests.servers.weed import PLAIN, STATION, Weed

_ANY = -3600.0  # the least age of what is swept: the clocks of both need not agree
#: A patch: it does not matter whether some time service keeps the clock where tests run. What is confirmed
#: is then asked for again all the time.
TRUSTED_CLOCK = "from agent import clock\nclock.synchronised = lambda: True\n"


class Centre(Protocol):
    server: Server
    #: (method, path) of each kind of request that a station makes
    requests: Sequence[tuple[str, str]]
    #: of the agent, as of an `Agent`, before that which makes it impatient
    patch: str

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    @property
    def port(self) -> int:
        """At which stations reach the server."""
        ...

    def replies(self, rng: Random) -> Reply:
        """Any answer that comes in the place of the server's own."""
        ...

    def target(self, url: str) -> Mapping[str, Any]:
        """The section of a station's configuration, for a server at `url`."""
        ...

    def object(self, key: str) -> bytes | None: ...

    def copy_back(self, to: Path) -> None:
        """Everything that lies there, by an independent client."""
        ...

    def faults(self) -> Iterable[str]:
        """What else is not as it must be once all is confirmed, besides what a copy shows."""
        ...

    def begun(self) -> Sequence[str]:
        """Transfers that were neither finished nor aborted."""
        ...

    def sweep(self) -> int:
        """As a station would that goes on with nothing, after a month."""
        ...


class Seaweed:
    """A bucket of SeaweedFS, whoever fills it."""

    bucket = PLAIN
    patch = ""

    def __init__(self, folder: Path) -> None:
        self._weed = Weed(folder / "server")
        self._rclone = Rclone(self._weed.url, STATION)
        self.server: Server = self._weed

    def __enter__(self) -> Self:
        self._weed.__enter__()
        self._rclone = Rclone(self._weed.url, STATION)  # it may have moved to other ports
        return self

    def __exit__(self, *_: object) -> None:
        self._weed.stop()

    def object(self, key: str) -> bytes | None:
        answer = requests.get(self._weed.object(f"clips/{key}"), timeout=60)
        return answer.content if answer.status_code == 200 else None

    def copy_back(self, to: Path) -> None:
        self._rclone.copy(self.bucket, to)

    def faults(self) -> Iterable[str]:
        return ()


class S3Centre(Seaweed):
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
        super().__init__(folder)
        self._keys = folder / "keys"

    def __enter__(self) -> Self:
        super().__enter__()
        self._keys.write_text(
            f"[default]\naws_access_key_id={STATION.access}\naws_secret_access_key={STATION.secret}\n"
        )
        self._keys.chmod(0o600)
        return self

    @property
    def port(self) -> int:
        return self._weed.ports[0]

    def replies(self, rng: Random) -> Reply:
        return weather.s3_reply(rng)

    def target(self, url: str) -> Mapping[str, Any]:
        server = {"kind": "s3", "url": url, "plaintext": True}
        return {**server, "bucket": self.bucket, "credentials": str(self._keys)}

    def begun(self) -> Sequence[str]:
        return self._rclone.begun(self.bucket)

    def sweep(self) -> int:
        keys = Credentials(STATION.access, STATION.secret)
        bucket = Bucket(Wire(Line()), self._weed.url, self.bucket, lambda: keys)
        return S3Target("centre", "s3", bucket, first_contact=False).sweep((), age=_ANY)


class TusCentre(Seaweed):
    """The bucket is the filer's folder, so what came by tus is read back by S3."""

    patch = TRUSTED_CLOCK
    requests: Sequence[tuple[str, str]] = (
        ("OPTIONS", r""),
        ("POST", r"\.mp4$"),
        ("POST", r"\.json$"),
        ("PATCH", r""),
        ("HEAD", r"/\.tus/\.uploads/"),
        ("HEAD", r"\.mp4$"),
        ("GET", r"\.json$"),
        ("GET", r"\.mp4$"),
        ("GET", r"recorder-station-target$"),
        ("GET", r"\.uploads\.tus/"),
        ("DELETE", r""),
    )
    _PATH = f"/.tus/buckets/{PLAIN}"

    @property
    def port(self) -> int:
        return self._weed.ports[2]

    def replies(self, rng: Random) -> Reply:
        return weather.tus_reply(rng)

    def target(self, url: str) -> Mapping[str, Any]:
        return {"kind": "tus", "url": f"{url}{self._PATH}", "plaintext": True}

    def begun(self) -> Sequence[str]:
        """Each is a folder until it is finished; one with nothing in it was never begun: the server was
        killed before it noted where the upload goes."""
        return [path for path in self._listed("/.uploads.tus") if self._listed(path)]

    def _listed(self, folder: str) -> Sequence[str]:
        answer = requests.get(
            f"{self._weed.filer}{folder}/",
            params={"limit": "100000"},
            headers={"Accept": "application/json"},
            timeout=60,
        )
        assert answer.status_code in (200, 404), answer
        entries = answer.json()["Entries"] or [] if answer.status_code == 200 else []
        return [entry["FullPath"] for entry in entries]

    def sweep(self) -> int:
        server = Tus(Wire(Line()), f"{self._weed.filer}{self._PATH}")
        return NamedTarget("centre", "tus", server, first_contact=False).sweep((), age=_ANY)
