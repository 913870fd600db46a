"""The reference tus server, on Node. `require("node")` first."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.servers.process import HOST, Server, get

SOURCE = Path(__file__).with_name("tus-node")
CACHE = Path(__file__).parents[2] / ".cache" / "tus-node"


@cache
def installed() -> Path:
    """A folder with the program and the modules of its lock; made when there is none for this lock."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()
    folder = CACHE / digest[:16]
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as aside:
        new = Path(aside) / "new"
        shutil.copytree(SOURCE, new)
        ran = subprocess.run(
            [
                "npm",
                "ci",
                "--ignore-scripts",
                "--omit=optional",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
            ],
            cwd=new,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        try:
            new.rename(folder)
        except OSError:  # another run was faster
            assert folder.exists()
    return folder


class TusNode(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ports=1)
        self.uploads = folder / "uploads"
        self.environment = {**os.environ, "NODE_ENV": "production"}
        self.uploads.mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        """Where uploads are created; each is at its own name below that."""
        return f"http://{HOST}:{self.ports[0]}/files"

    def command(self) -> Sequence[str | Path]:
        return ["node", installed() / "server.mjs", str(self.ports[0]), self.uploads]

    def answers(self) -> bool:
        return get(self.url).status_code < 500
