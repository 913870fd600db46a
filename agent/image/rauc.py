"""RAUC, by its own program. It alone judges signatures, and writes slots."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.errors import Stop

_PROGRESS = re.compile(r"\s*(\d{1,3})% (.*)")
_LOG = re.compile(r"\(?rauc-|rauc-Message|\*\* ")  # lines of its log among its words
_CHECK_LIMIT = 600.0  # seconds; a slow disk reads half a gigabyte twice
_UNSIGNED = ("signature", "certificate", "not a valid bundle", "Invalid bundle format", "Bundle size")

_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}

Progress = Callable[[int, str], None]


class Rauc:
    def __init__(self, options: Sequence[str] = ()) -> None:
        """`options`: tests name a configuration of their own."""
        self._options = tuple(options)

    def info(self, bundle: Path) -> tuple[str, str]:
        """(compatible, version) of a bundle whose signature is good. Raises Stop."""
        said = self._said("info", "--output-format=json", str(bundle))
        try:
            told = json.loads(said)
            return str(told["compatible"]), str(told["version"])
        except (ValueError, KeyError, TypeError) as error:
            raise Stop("update-refused", reason="rauc info said nothing that is understood") from error

    def check(self, bundle: Path, aside: Path) -> None:
        """Read the whole bundle and compare it with what was signed: `info` looks at the signed digest alone,
        and an installation would find out only when half of the other slot is written. Raises Stop."""
        with _no_folder(aside):
            self._said("extract", str(bundle), str(aside))

    def install(self, bundle: Path, progress: Progress) -> None:
        """Raises Stop `update-failed`."""
        reason = ""
        with self._started("install", str(bundle)) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if found := _PROGRESS.match(line):
                    progress(int(found[1]), found[2].strip())
                elif line.strip():
                    reason = line.strip().removeprefix("LastError: ") if "rror" in line else reason
        if process.returncode != 0:
            raise Stop("update-failed", reason=reason or f"rauc ended with {process.returncode}")

    def versions(self) -> dict[str, str]:
        """What was installed into each slot, by its name in the boot loader; {} when nobody knows."""
        try:
            told: dict[str, Any] = json.loads(self._said("status", "--detailed", "--output-format=json"))
            slots = [slot for named in told["slots"] for slot in named.values()]
            return {
                slot["bootname"]: str(slot["slot_status"]["bundle"]["version"])
                for slot in slots
                if slot.get("bootname") and slot.get("slot_status", {}).get("bundle", {}).get("version")
            }
        except (Stop, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _said(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                self._command(*arguments),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_CHECK_LIMIT,
                check=False,
                env=_PATH,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Stop("boot-program-failed", program="rauc", reason=_reason(error)) from error
        if done.returncode != 0:
            raise refusal(done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def _started(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        try:
            process = subprocess.Popen(
                self._command(*arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=_PATH,
            )
        except OSError as error:
            raise Stop("boot-program-failed", program="rauc", reason=_reason(error)) from error
        with process:
            yield process

    def _command(self, *arguments: str) -> list[str]:
        return ["rauc", *self._options, *arguments]


def refusal(said: str) -> Stop:
    """What RAUC's words mean for whoever brought the bundle."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _LOG.match(line)]
    reason = lines[-1] if lines else "no reason given"
    if "corrupted" in reason:
        return Stop("update-tampered", reason=reason)
    if any(word in reason for word in _UNSIGNED):
        return Stop("update-unsigned", reason=reason)
    return Stop("update-refused", reason=reason)


def compatible(config: str) -> str:
    """What this machine calls itself in RAUC's system.conf."""
    found = re.search(r"^compatible=(.+)$", config, re.MULTILINE)
    return found[1].strip() if found else ""


@contextlib.contextmanager
def _no_folder(path: Path) -> Iterator[None]:
    shutil.rmtree(path, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "no answer in time"
