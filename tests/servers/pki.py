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
        # Python 3.13 is strict: an authority must say what its key is for, and all others who signed them.
        self.authority = self._make(
            "authority", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"
        )
        signed = "basicConstraints=critical,CA:FALSE", "authorityKeyIdentifier=keyid"
        self.server = self._make("server", f"subjectAltName=IP:{HOST}", *signed)
        self.client = self._make("client", "extendedKeyUsage=clientAuth", *signed)

    def expire(self) -> None:
        """From now on the server's certificate is one of yesterday."""
        request, extensions = self._folder / "server.csr", self._folder / "server.ext"
        extensions.write_text(f"subjectAltName=IP:{HOST}\nauthorityKeyIdentifier=keyid\n")
        ours = ("-key", self.server.key, "-subj", "/CN=server", "-out", request)
        by = ("-CA", self.authority.certificate, "-CAkey", self.authority.key, "-CAcreateserial")
        made = ("-days", "-1", "-extfile", extensions, "-out", self.server.certificate)
        subprocess.run(["openssl", "req", "-batch", "-new", *ours], capture_output=True, check=True)
        subprocess.run(
            ["openssl", "x509", "-req", "-in", request, *by, *made], capture_output=True, check=True
        )

    def _make(self, name: str, *extensions: str) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        by: list[str] = []
        if name != "authority":
            by = ["-CA", str(self.authority.certificate), "-CAkey", str(self.authority.key)]
        command = [
            *("openssl", "req", "-batch", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", *by),
            *(word for extension in extensions for word in ("-addext", extension)),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ]
        subprocess.run(command, capture_output=True, check=True)
        return pair
