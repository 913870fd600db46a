"""A small tus server that verifies checksums."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import HOST, Server, get


class TusResumable(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ports=1)
        self.uploads = folder / "uploads"

    @property
    def url(self) -> str:
        """Where uploads are created; each is at its own name below that."""
        return f"http://{HOST}:{self.ports[0]}/files"

    def command(self) -> Sequence[str | Path]:
        return [
            *(Path(sys.executable).with_name("resumable-upload"), "serve"),
            *("--host", HOST, "--port", str(self.ports[0]), "--enable-downloads"),
            *("--checksum-algorithms", "sha256,sha1", "--max-chunk-size", str(64 << 20)),
            *("--upload-dir", self.uploads, "--db-path", self.folder / "uploads.db"),
        ]

    def answers(self) -> bool:
        return get(f"http://{HOST}:{self.ports[0]}/").status_code < 500
