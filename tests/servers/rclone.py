"""rclone: a client that shares nothing with ours, to look at what lies in a bucket."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.weed import Identity


@dataclass(frozen=True, slots=True)
class Rclone:
    """`url` of an S3 server. Everything is configured by the environment: a process's arguments can be read
    by everybody."""

    url: str
    identity: Identity

    def run(self, *arguments: str) -> str:
        """What it says; raises CalledProcessError. A bucket is `centre:NAME`."""
        settings = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": self.url,
            "REGION": "us-east-1",
            "ACCESS_KEY_ID": self.identity.access,
            "SECRET_ACCESS_KEY": self.identity.secret,
        }
        ran = subprocess.run(
            ["rclone", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "RCLONE_CONFIG": os.devnull,
                **{f"RCLONE_CONFIG_CENTRE_{name}": value for name, value in settings.items()},
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return ran.stdout

    def digests(self, folder: str) -> dict[str, str]:
        """The SHA-256 of each object below `folder`, of its bytes as they are read back."""
        lines = self.run("hashsum", "sha256", "--download", f"centre:{folder}").splitlines()
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    def copy(self, folder: str, to: Path) -> None:
        self.run("copy", f"centre:{folder}", str(to))

    def begun(self, bucket: str) -> list[str]:
        """The ids of uploads that were neither finished nor aborted."""
        said = json.loads(self.run("backend", "list-multipart-uploads", f"centre:{bucket}"))
        return [upload["UploadId"] for upload in said.get(bucket) or []]
