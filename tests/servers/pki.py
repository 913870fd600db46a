"""A certificate authority with a server and a client, made by the `openssl` program."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import HOST


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path


class Pki:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.authority = self._make("authority", "basicConstraints=critical,CA:TRUE")
        self.server = self._make("server", f"subjectAltName=IP:{HOST}", signed=True)
        self.client = self._make("client", "extendedKeyUsage=clientAuth", signed=True)

    def _make(self, name: str, extension: str, *, signed: bool = False) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        signer = ["-CA", str(self.authority.certificate), "-CAkey", str(self.authority.key)] if signed else []
        command = [
            *("openssl", "req", "-batch", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", extension, *signer),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ]
        subprocess.run(command, capture_output=True, check=True)
        return pair
