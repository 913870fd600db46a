"""Whatever a card's folders are called, what its driver says of its clips can be stored and shown."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dock.board import Board
from agent.dock.dock import Dock
from agent.dock.docking import Tools
from agent.dock.mounts import Mounts
from agent.dock.rack import RackSource
from agent.model import SlotState
from agent.privileged.verbs import InProcess
from drivers.layout import Layout
from drivers.profile import rules
from drivers.registry import best
from drivers.walk import Found
from tests.dock_house import PATIENCE, Hand, House, Settings, Shelf
from tests.dockside import Dockside, recorder

STATUS = os.stat_result((0o100644, 1, 1, 1, 0, 0, 0, 0, 0, 0), {"st_mtime_ns": 0})
parts = st.binary(min_size=1, max_size=255).filter(lambda part: not {0, 0x2F} & set(part)).map(os.fsdecode)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


@given(parts, parts, parts)
def test_all_texts_of_a_clip_but_its_path_are_plain_and_short(one: str, other: str, name: str) -> None:
    clip = Layout(rules(), locks=False).clip(Found(f"DCIM/100ANDRO/{one}/{other}", name, STATUS))
    assert clip.officer
    for text in (clip.officer, clip.kind, clip.time_source):
        assert text.isprintable() and text.encode() and len(text) <= 64


def test_an_officers_name_is_kept_as_it_is_written() -> None:
    layout = Layout(rules(), locks=False)
    assert layout.clip(Found("DCIM/100ANDRO/8888888/王伟", "a.mp4", STATUS)).officer == "王伟"


def test_a_folder_that_is_no_utf_8_blocks_no_recorder(side: Dockside, tmp_path: Path) -> None:
    card = recorder(tmp_path / "card", {"DCIM/ok.mp4": 5000})
    folder = os.fsencode(card) + b"/DCIM/100ANDRO/8888888/" + "王伟".encode("gbk")
    Path(os.fsdecode(folder)).mkdir(parents=True)
    (Path(os.fsdecode(folder)) / "x.mp4").write_bytes(b"clip")
    complete, _ = side.dock(card)
    assert complete and side.states() == {"stored": 2}


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb\x1b[31m", "执法".encode("gbk")])
def test_a_rack_folder_of_any_name_is_a_slot_that_can_be_stored_and_shown(
    side: Dockside, tmp_path: Path, name: bytes
) -> None:
    board, mounts = Board(), Mounts(InProcess(tmp_path / "mounts"))
    tools = Tools(board, mounts, best, lambda s, d, r: side.ingest.collect(s, d.slot, d.device.port, r))
    rack = tmp_path / "rack"
    recorder(rack / os.fsdecode(name), {"a.mp4": 5000})
    dock = Dock(Settings, [RackSource(rack, reconcile=0.2)], mounts, tools)
    station = House(board, Hand(), Shelf(rack), Settings(), tools, dock)
    dock.start()
    try:
        (shown,) = station.when(board.snapshot)
        assert shown.slot.isprintable() and shown.slot.encode()
        station.until(shown.slot, SlotState.COLLECTED)
    finally:
        dock.stop(PATIENCE)
    assert side.states() == {"stored": 1}
