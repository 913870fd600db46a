"""`recorder-station run`: the agent itself, as systemd starts it."""

import ctypes
import logging
import resource
import sys

import typer

from agent.cli.config import ConfigPath

_M_ARENA_MAX = -8  # mallopt(3)
_FILES = 8192  # descriptors: 32 slots with a window of open files each


def run(config: ConfigPath = None) -> None:
    """Run the agent until it is told to stop (SIGTERM)."""
    from agent.app import run as run_agent  # the other commands need none of this

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    _tune()
    raise typer.Exit(run_agent(config))


def _tune() -> None:
    # One heap for some fifty threads: a heap each costs more memory than it saves time on a small board.
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))
