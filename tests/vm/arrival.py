"""What lies at central storage, outside the guest, against what a recorder held. Nothing that the station
says is believed here."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agent.status.shape import StatusShape
from tests.crash.rack import clip_files, contents, digest
from tests.vm.guest import PATIENCE
from tests.vm.machine import Machine


def differs(centre: Path, number: str, held: Path) -> str:
    """ "" if each content that lay in `held` is there once, byte for byte; else what is wrong."""
    have = Counter(digest(path) for path in clip_files(centre / "clips" / number))
    want = contents(held).clips()
    return "" if have == want else f"{number} lacks {dict(want - have)} and has besides {dict(have - want)}"


def until_all_confirmed(machine: Machine, numbers: Sequence[str], within: float = PATIENCE) -> None:
    """Every clip of these recorders is confirmed, and nothing is on its way."""

    def quiet(status: StatusShape) -> bool:
        return status["queue"]["clips"] == 0 and status["clips"]["seen"] == status["clips"]["copying"] == 0

    machine.guest.wait_for(quiet, within)
    rows = [row for row in machine.guest.clips() if row["recorder"] in numbers]
    late = [row for row in rows if row["state"] not in ("confirmed", "merged")]
    assert not late and {row["recorder"] for row in rows} == set(numbers), f"not confirmed: {late}"
