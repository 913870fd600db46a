"""Other clients that bring the same files to the same bucket, each as a process of its own.

curl sends the parts and does nothing else. rclone, boto3 and tuspy do as they do by default, with parts of
our size.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.machine import memory_peak
from scripts.benchmarks.measure import BenchError
from scripts.benchmarks.seaweed import KEYS

_LOOK = 0.02  # seconds: rarer than would disturb what is measured


@dataclass(frozen=True, slots=True)
class Ran:
    seconds: float
    cpu: float  # seconds
    memory: int  # bytes, at most
    said: str = ""


def curl(requests: Sequence[str], answer: str) -> Ran:
    """`requests`: each in curl's language; all of them over one connection. `answer`: to each, as it should
    be."""
    command = ["curl", "--disable", "--silent", "--show-error", "--config", "-"]
    ran = _run(command, typed="\nnext\n".join(requests))
    if (answers := ran.said.split()) != [answer] * len(requests):
        raise BenchError(f"curl was answered {answers[:3]}…, {len(answers)} times of {len(requests)}")
    return ran


def rclone(url: str, command: Sequence[str], part: int) -> Ran:
    """`command` with the remote `centre:`."""
    options = {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_CENTRE_TYPE": "s3",
        "RCLONE_CONFIG_CENTRE_PROVIDER": "Other",
        "RCLONE_CONFIG_CENTRE_ENDPOINT": url,
        "RCLONE_CONFIG_CENTRE_ACCESS_KEY_ID": KEYS.key,
        "RCLONE_CONFIG_CENTRE_SECRET_ACCESS_KEY": KEYS.secret,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
        "RCLONE_S3_CHUNK_SIZE": f"{part}B",
    }
    return _run(["rclone", *command], options)


def has_rclone() -> bool:
    return shutil.which("rclone") is not None


def boto3(python: str, url: str, bucket: str, key: str, file: Path, part: int) -> Ran:
    """Seconds without those of its import."""
    secrets = {"AWS_ACCESS_KEY_ID": KEYS.key, "AWS_SECRET_ACCESS_KEY": KEYS.secret, "AWS_REGION": "us-east-1"}
    return _library(python, "by_boto3.py", [url, bucket, key, str(file), str(part)], secrets)


def tuspy(python: str, url: str, file: Path, part: int) -> Ran:
    """Seconds without those of its import. `url`: where an upload of this file is begun."""
    return _library(python, "by_tuspy.py", [url, str(file), str(part)])


def has_library(python: str, module: str) -> bool:
    """Whether `python` can import it. Raises OSError when that is no program."""
    return subprocess.run([python, "-I", "-c", f"import {module}"], capture_output=True).returncode == 0


def ours(folder: Path) -> str:
    """What `scripts.benchmarks.carry` tells of `folder`."""
    return _run([sys.executable, "-P", "-m", "scripts.benchmarks.carry", str(folder)]).said


def _library(
    python: str, script: str, arguments: Sequence[str], more: Mapping[str, str] | None = None
) -> Ran:
    """Isolated: PYTHONPATH leads to the project, of which it should see nothing."""
    ran = _run([python, "-I", str(Path(__file__).with_name(script)), *arguments], more)
    return Ran(float(ran.said), ran.cpu, ran.memory)


def _run(command: Sequence[str], more: Mapping[str, str] | None = None, typed: str = "") -> Ran:
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as wrong,
        tempfile.TemporaryFile() as entered,
    ):
        entered.write(typed.encode())
        entered.seek(0)
        environment = {**_environment(), **(more or {})}
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=entered, stdout=said, stderr=wrong, env=environment)
        memory = 0
        # Looked at, since what `wait4` calls its peak begins with the memory of the process that started it.
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            memory = max(memory, memory_peak(process.pid))
            time.sleep(_LOOK)
        seconds = time.perf_counter() - began
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        for output in (said, wrong):
            output.seek(0)
        if process.returncode:
            raise BenchError(f"{command[0]} ends with {process.returncode}: {wrong.read()[-2000:].decode()}")
        return Ran(seconds, used.ru_utime + used.ru_stime, memory, said.read().decode())


def _environment() -> dict[str, str]:
    """Without keys, proxies and remotes of whoever measures."""
    foreign = ("AWS_", "RCLONE_", "HTTP_", "HTTPS_", "ALL_")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
