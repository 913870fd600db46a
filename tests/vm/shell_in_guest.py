"""Runs in the guest, as root, with nothing but its Python: JSON lines on a virtio-serial port.

It is no module of the tests: its text is handed to the unmodified image as a systemd credential.
`{"id", "run": [...], "stdin", "within"}` -> `{"id", "rc", "out", "err"}` with bytes in base64;
`{"id", "get": "/status"}` -> the agent's answer, or `{"id", "down": why}`;
`{"id", "sizes": [path, ...]}` -> `{"id", "sizes"}`, -1 for what is no file.
"""

import base64
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

PORT = "recorder-test"
AGENT = "/run/recorder-station/agent.sock"


def device() -> str:
    """As soon as it is there: this starts long before the kernel has found everything."""
    while True:
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            found = f"/dev/{name.parent.name}"
            if name.read_text().strip() == PORT and Path(found).exists():
                return found
        time.sleep(0.2)


def run(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        ran = subprocess.run(
            asked["run"],
            input=base64.b64decode(asked["stdin"]),
            capture_output=True,
            timeout=asked["within"],
            check=False,
        )
        code, out, err = ran.returncode, ran.stdout, ran.stderr
    except subprocess.TimeoutExpired as late:
        code, out, err = 124, late.stdout or b"", (late.stderr or b"") + b"did not end in time"
    except OSError as error:
        code, out, err = 127, b"", str(error).encode()
    return {"rc": code, "out": base64.b64encode(out).decode(), "err": base64.b64encode(err).decode()}


def get(asked: dict[str, Any]) -> dict[str, Any]:
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(asked["within"])
            agent.connect(AGENT)
            agent.sendall(f"GET {asked['get']} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            while got := agent.recv(65536):
                answer += got
    except OSError as error:
        return {"down": str(error) or type(error).__name__}
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return {"down": "no answer"}
    return {"http": int(head.split()[1]), "body": base64.b64encode(body).decode()}


def sizes(asked: dict[str, Any]) -> dict[str, Any]:
    paths = [Path(path) for path in asked["sizes"]]
    return {"sizes": [path.stat().st_size if path.is_file() else -1 for path in paths]}


KINDS = {"run": run, "get": get, "sizes": sizes}


def main() -> None:
    port = os.open(device(), os.O_RDWR)
    rest = b""
    while True:
        got = os.read(port, 65536)
        if not got:  # nobody listens at the other end
            time.sleep(0.2)
            continue
        *lines, rest = (rest + got).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            answer = next((answers(asked) for kind, answers in KINDS.items() if kind in asked), {})
            told = json.dumps({"id": asked["id"], **answer}).encode() + b"\n"
            while told:
                told = told[os.write(port, told) :]


if __name__ == "__main__":
    main()
