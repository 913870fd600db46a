"""Runs in the guest, as root, with nothing but its Python: asks the root helper as the agent does.

`python3 - PORT [NAME…]` mounts the first partition in PORT, erases the files NAME…, if any, and tells in one
line of JSON what became of them, and name and SHA-256 of what is there afterwards. Its text is handed to the
image.
"""

import hashlib
import json
import socket
import sys
from pathlib import Path
from typing import Any

HELPER = "/run/recorder-station-helper.sock"


def call(**request: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as helper:
        helper.connect(HELPER)
        helper.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(helper.makefile("rb").readline())
    return answer


def disk_in(port: str) -> Path:
    """The disk whose udev entry names the socket."""
    for disk in Path("/sys/block").iterdir():
        number = (disk / "dev").read_text().strip()
        known = Path(f"/run/udev/data/b{number}")
        if known.exists() and f"E:ID_PATH={port}:" in known.read_text():
            return disk
    raise SystemExit(f"no disk in {port}")


def main() -> None:
    port, *names = sys.argv[1:]
    diskseq = int((disk_in(port) / "diskseq").read_text())
    mounted = call(verb="mount", port=port, lun=0, partition=1, diskseq=diskseq)
    root = Path(mounted["ok"]["path"])
    try:
        files = [
            {"path": name, "size": (at := (root / name).stat()).st_size, "mtime_ns": at.st_mtime_ns}
            for name in names
        ]
        said = call(verb="erase", mount=root.name, files=files) if files else {}
        there = {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file()
        }
    finally:
        call(verb="unmount", mount=root.name)
    print(json.dumps({"said": said, "there": there}))


if __name__ == "__main__":
    main()
