"""`recorder-station update`: a signed bundle into the slot that does not run; it starts on trial."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agent import booted
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, told
from agent.errors import Stop
from agent.image.bundle import at_hand
from agent.image.paths import Paths
from agent.image.rauc import Rauc, compatible
from agent.image.slots import NAMES, Slots, SlotState, slots
from agent.image.system import System, is_disk
from agent.words import fill, word
from agent.words.shown import size

PATHS = Paths()
SYSTEM = System()
RAUC = Rauc()
CONFIG = Path("/etc/rauc/system.conf")
_EVERY = 5.0  # seconds between two lines of progress


def update(
    bundle: Annotated[
        str | None, typer.Argument(help="A file, for instance on a stick, or an http(s) address.")
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show both slots, and whether the last update was kept.")
    ] = False,
    reboot: Annotated[
        bool, typer.Option("--reboot", help="Restart the station when it is installed.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Install a signed update beside what runs. It starts at the next restart, on trial: when the agent does
    not become ready, the station goes back by itself."""
    if (bundle is None) == (not status):
        raise typer.BadParameter("give either a bundle or --status")
    language = setting(config, lang).language
    with told(language):
        _must_be_image()
        found = slots(PATHS)
        if bundle is None:
            _show(found, language, as_json)
            return
        if found.on_trial:
            # The other slot is the only one that is known to work.
            raise Stop("update-on-trial")
        _install(bundle, language)
        if reboot:
            _say("restarting", language)
            SYSTEM.run(["systemctl", "reboot"])


def _must_be_image() -> None:
    if not booted.on_image():
        raise Stop("update-no-image")
    if os.geteuid() != 0:
        raise Stop("must-be-root")


def _install(source: str, language: str) -> None:
    if not is_disk(SYSTEM.file_system(PATHS.data)):
        raise Stop("update-no-disk")
    with at_hand(source, PATHS.updates, PATHS.ca if PATHS.ca.exists() else None, _Moved(language)) as copy:
        _say("checking", language)
        theirs, version = RAUC.info(copy)
        ours = compatible(CONFIG.read_text(errors="replace"))
        if theirs != ours:
            raise Stop("update-incompatible", theirs=theirs, ours=ours)
        RAUC.check(copy, PATHS.updates / "content")
        _say("installing", language, version=version)
        with _boot_read_only():
            RAUC.install(copy, lambda percent, what: _print(f"{percent:3d} %  {what}"))
    _say("installed", language, version=version, running=_running_version())


@contextmanager
def _boot_read_only() -> Iterator[None]:
    """RAUC's handlers open the boot partition for writing, and close it only when all went well."""
    try:
        yield
    except Stop:
        SYSTEM.remount_boot(PATHS.boot, writable=False)
        raise


class _Moved:
    """A line now and then while the bundle comes."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            _print(f"{size(done)} / {size(total)}" if total else size(done))


def _show(found: Slots, language: str, as_json: bool) -> None:
    versions = RAUC.versions()
    if found.running:
        versions[found.running] = _running_version()
    if as_json:
        shown = {
            name: {"state": found.states[name].value, "version": versions.get(name, "")} for name in NAMES
        }
        print(json.dumps({"running": found.running, "fell_back": found.fell_back, "slots": shown}, indent=2))
        return
    for name in NAMES:
        state = word("update", found.states[name].value, language)
        runs = f" · {word('update', 'runs', language)}" if name == found.running else ""
        typer.echo(f"{name}  {versions.get(name, '?')}  {state}{runs}")
    for name, state in found.states.items():
        if state is not SlotState.GOOD:
            typer.echo(fill(word("update", f"about-{state.value}", language), {"slot": name}))


def _running_version() -> str:
    return (PATHS.image.read_text(errors="replace").split() or ["?"])[0]


def _say(key: str, language: str, **params: str) -> None:
    _print(fill(word("update", key, language), params))


def _print(line: str) -> None:
    """Progress, and what is left to do: not the output of a program."""
    print(line, file=sys.stderr, flush=True)
