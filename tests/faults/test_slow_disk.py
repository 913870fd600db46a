"""What the dock promises while the station's own disk takes its time."""

import threading
from pathlib import Path

import pytest

from agent.dock.docking import Docking
from agent.ingest import seal
from agent.model import Device, DeviceKind, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import Settings, folder, house
from tests.dockside import Dockside, FolderPort, media, recorder

STUCK_AFTER = 1.5  # seconds
SYNC = 2.2  # seconds that a slow one takes
BEAT = 0.1  # seconds between two heartbeats of one who waits for the disk


@pytest.fixture
def cards(tmp_path: Path) -> dict[str, Path]:
    """By slot. Each of two batches: while the first is synced, the second waits to be handed over."""
    name = "888888{}_000001_20260101120000_{:04}.mp4"
    return {
        f"A{n}": recorder(tmp_path / f"card{n}", {name.format(n, clip): 2 << 20 for clip in range(2)})
        for n in range(3)
    }


def test_a_slow_disk_of_the_station_is_no_reason_to_disconnect_recorders(
    tmp_path: Path, cards: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Dockside(tmp_path / "station")
    flush, slow = side.store.flush, iter(cards)

    def flush_slowly(files: list[Path]) -> None:
        if next(slow, None):
            threading.Event().wait(SYNC)
        flush(files)

    def collect(_: Session, docking: Docking, reporter: Reporter) -> bool:
        card, port = cards[docking.slot], docking.device.port
        session = side.driver.open(Device(str(card), DeviceKind.FOLDER, port), FolderPort(card))
        try:
            return side.ingest.collect(session, docking.slot, port, reporter)
        finally:
            session.close()

    monkeypatch.setattr(side.store, "flush", flush_slowly)
    monkeypatch.setattr(seal, "_WAIT", BEAT)
    with house(tmp_path, collect, settings=Settings(stuck_after=STUCK_AFTER)) as station:
        for slot in cards:
            station.hand.plug(folder(f"/rack/{slot}", f"rack:{slot}"))
        shown = [station.until(slot, SlotState.COLLECTED, SlotState.STUCK).state for slot in cards]
        assert shown == [SlotState.COLLECTED] * 3
        assert station.shelf.disconnected == []
    assert next(slow, None) is None
    assert side.stored_digests() == set().union(*map(media, cards.values()))
    side.close()
