"""What the boot loader's environment means for who asks whether an update was kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.image.paths import Paths
from agent.image.slots import Slots, SlotState, environment, slots
from tests.image_house import House

GOOD, BAD = SlotState.GOOD, SlotState.BAD


def grubenv(**said: object) -> bytes:
    """As grub-editenv writes it: 1024 bytes, filled up with `#`."""
    lines = "# GRUB Environment Block\n" + "".join(f"{key}={value}\n" for key, value in said.items())
    return lines.encode().ljust(1024, b"#")


def lay(paths: Paths, running: str, **said: object) -> None:
    for file in (paths.grub_environment, paths.kernel_line):
        file.parent.mkdir(parents=True, exist_ok=True)
    paths.grub_environment.write_bytes(grubenv(**said))
    paths.kernel_line.write_text(f"ro panic=30 rauc.slot={running}  console=tty0\n")


KEPT = {"A_OK": 1, "A_TRY": 0, "B_OK": 1, "B_TRY": 0}


@pytest.mark.parametrize(
    ("running", "said", "a", "b"),
    [
        ("A", {"ORDER": "A B", "A_OK": 1, "A_TRY": 0, "B_OK": 0, "B_TRY": 0}, GOOD, BAD),
        ("A", {**KEPT, "ORDER": "B A", "TRIAL": "B"}, GOOD, SlotState.WAITS),
        ("B", {**KEPT, "ORDER": "B A", "TRIAL": "B", "B_TRY": 1}, GOOD, SlotState.ON_TRIAL),
        ("A", {**KEPT, "ORDER": "B A", "TRIAL": "B", "B_TRY": 1}, GOOD, SlotState.FELL_BACK),
        ("B", {**KEPT, "ORDER": "B A"}, GOOD, GOOD),
        ("A", {**KEPT, "ORDER": "A", "TRIAL": "B", "B_OK": 0}, GOOD, SlotState.UNFINISHED),
    ],
)
def test_each_stage_of_an_update_is_told(
    tmp_path: Path, running: str, said: dict[str, object], a: SlotState, b: SlotState
) -> None:
    paths = Paths(tmp_path)
    lay(paths, running, **said)
    found = slots(paths)
    assert found == Slots(running, {"A": a, "B": b})
    assert found.fell_back == ("B" if b is SlotState.FELL_BACK else "")
    assert found.on_trial is (b is SlotState.ON_TRIAL)


def test_a_fall_back_is_told_by_the_boot_step(tmp_path: Path) -> None:
    house = House(tmp_path / "root")
    house.lay("station.yaml", "")
    assert house.boot() == []
    lay(house.paths, "A", **{**KEPT, "TRIAL": "B", "B_TRY": 1})
    assert house.boot() == ["update-fell-back"]
    assert house.problems()[0]["params"] == {"slot": "B"}


def test_without_a_boot_loader_of_ours_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        slots(Paths(tmp_path))
    lay(Paths(tmp_path), "C")
    assert slots(Paths(tmp_path)) == Slots("", {"A": BAD, "B": BAD})


@given(st.binary())
def test_no_environment_raises(block: bytes) -> None:
    assert isinstance(environment(block), dict)
