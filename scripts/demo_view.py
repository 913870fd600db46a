"""The demo's picture of the rack: one line per recorder, one for the centre."""

from collections.abc import Mapping

from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.model import SlotState
from agent.status.shape import SlotShape, StatusShape

STYLES = {
    SlotState.COLLECTED: "green",
    SlotState.INCOMPLETE: "yellow",
    SlotState.FAILED: "red",
    SlotState.STUCK: "red",
}


class View:
    """Keeps one picture fresh inside its `with`, and above it `signs`, which say what is where. Off a
    terminal only the last one is printed."""

    def __init__(self, console: Console, signs: Mapping[str, str]) -> None:
        self._signs = [Text(f"{what}: {where}") for what, where in signs.items()]
        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> "View":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if not self._live.console.is_terminal:
            self._live.console.print()  # what the picture lacks there is the end of its last line

    def show(self, status: StatusShape, clips: int) -> None:
        """`clips`: how many were docked so far."""
        rows = Table.grid(padding=(0, 1))
        for slot in status["slots"]:
            rows.add_row(*_row(slot))
        confirmed = status["clips"]["confirmed"] + status["clips"]["released"]
        bar = ProgressBar(total=max(1, clips), completed=confirmed, width=30)
        rows.add_row("centre", "", bar, f"{confirmed}/{clips} clips", "confirmed")
        issues = [Text(f"! {issue['key']} {issue['params'] or ''}", "yellow") for issue in status["health"]]
        self._live.update(Group(*self._signs, rows, *issues))


def _row(slot: SlotShape) -> tuple[str | Text | ProgressBar, ...]:
    state = SlotState(slot["state"])
    bar = ProgressBar(total=max(1, slot["bytes_total"]), completed=slot["bytes_done"], width=30)
    speed = f"{decimal(round(slot['bytes_per_second']))}/s" if slot["bytes_per_second"] else ""
    left = "" if slot["eta_seconds"] is None else f"{slot['eta_seconds']:.0f} s left"
    problems = ", ".join(problem["key"] for problem in slot["problems"])
    return (
        slot["slot"],
        slot["recorder"],
        bar,
        f"{slot['files_done']}/{slot['files_total']} clips",
        Text(state, STYLES.get(state, "")),
        Text(problems, "yellow") if problems else f"{speed}  {left}",
    )
