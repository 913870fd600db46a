"""Two stations and one centre: a recorder that alternates between them is accused of nothing once each has
read what the other one laid there, and nothing is stored twice."""

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import findings
from agent.custody.completeness.judge import Judge
from agent.errors import Stopping, Transient
from agent.upload import elsewhere
from agent.upload.elsewhere import Elsewhere
from agent.upload.scheduler import Uploads
from agent.upload.targets.base import Target, go_on
from agent.upload.targets.collected import Collected
from drivers import names
from tests.contract.kits import NAMED, Kit
from tests.dockside import Dockside
from tests.recording import RECORDER, File, Recorder
from tests.uploading import Clock, locked

CARD = "1234-ABCD"


@pytest.fixture(params=NAMED)
def kit(request: pytest.FixtureRequest) -> Kit:
    made: Kit = request.getfixturevalue(request.param)
    return made


class Station:
    def __init__(self, root: Path, kit: Kit) -> None:
        self.side = Dockside(root)
        self.catalog = self.side.catalog
        self.judge = Judge(self.catalog)
        self.target = kit.target()
        assert isinstance(self.target, Collected)
        self.clock = Clock()
        targets: dict[str, Target] = {"centre": self.target}
        self.uploads = Uploads(self.catalog, targets, self.side.store.path, lock=locked())
        self.elsewhere = Elsewhere(self.uploads.generation, self.target, go_on, names.parse, self.clock)

    def dock(self, folder: Path, card: str = CARD, slot: str = "A1") -> list[str]:
        """The rules of what was found."""
        before = len(self.findings())
        complete, _ = self.side.dock(folder, card=card, slot=slot)
        assert complete
        self.judge.step(time.time() + 60)
        assert not self.judge.failing
        return [row["rule"] for row in self.findings()[before:]]

    def upload(self) -> None:
        while self.uploads.step():
            pass

    def look(self) -> None:
        """Some hours later."""
        self.clock.now += elsewhere.EVERY
        self.elsewhere.look()

    def findings(self) -> list[dict[str, Any]]:
        return findings.rows(self.catalog.read(), every=True, after=0, limit=1000)

    def states(self) -> dict[str, str]:
        return {row["rule"]: row["state"] for row in self.findings()}

    def events(self, kind: str) -> int:
        row = self.catalog.read().execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])


@pytest.fixture
def stations(tmp_path: Path, kit: Kit) -> Iterator[tuple[Station, Station]]:
    pair = Station(tmp_path / "one", kit), Station(tmp_path / "two", kit)
    for one in pair:
        one.upload()  # the centre says who it is
    yield pair
    for one in pair:
        one.catalog.close()


class Card:
    """The recorder's card as a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recorder = Recorder()
        (folder / "DCIM").mkdir(parents=True)
        (folder / ".faults.yaml").write_text("")

    def take(self, count: int) -> list[File]:
        made = self.recorder.several(count)
        for one in made:
            path = self.folder / "DCIM" / one.name
            path.write_bytes(os.urandom(3000))
            ended = (one.at + one.length).replace(tzinfo=UTC).timestamp()
            os.utime(path, (ended, ended))
        return made

    def erase(self, *files: File) -> None:
        for one in files:
            (self.folder / "DCIM" / one.name).unlink()


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path / "card")


def test_a_recorder_that_alternates_between_two_stations_is_accused_of_nothing(
    stations: tuple[Station, Station], card: Card, kit: Kit
) -> None:
    """Somebody empties it at the second one, as is usual there."""
    one, two = stations
    everything = card.take(4)
    assert one.dock(card.folder) == []
    everything += card.take(3)
    assert two.dock(card.folder) == []
    card.erase(*everything[:6])
    everything += card.take(2)
    assert one.dock(card.folder) == ["card-emptied", "sequence-gap"]

    one.upload()
    one.look()  # the second station has not sent anything yet
    assert one.states() == {"card-emptied": "elsewhere", "sequence-gap": "open"}
    [gap] = findings.opened(one.catalog.read(), RECORDER)
    assert gap.looked["centre"]["left"] == 2
    one.look()
    assert one.events("finding-not-elsewhere") == 1

    two.upload()
    one.look()
    assert one.states() == {"card-emptied": "elsewhere", "sequence-gap": "elsewhere"}
    everything += card.take(1)
    assert two.dock(card.folder) == ["card-emptied"]
    two.upload()
    two.look()
    assert two.states() == {"card-emptied": "elsewhere"}
    assert findings.count(one.catalog.read()) == findings.count(two.catalog.read()) == 0

    target = kit.target()
    assert isinstance(target, Collected)
    keys = list(target.collected(RECORDER))
    objects = [kit.object(kit.clip(b"", key)) for key in keys]
    assert len(keys) == len({hashlib.sha256(data or b"").digest() for data in objects}) == len(everything)


def test_what_nobody_has_stays_unexplained_and_is_never_called_more(
    stations: tuple[Station, Station], card: Card
) -> None:
    one, two = stations
    card.take(3)
    one.dock(card.folder)
    card.take(2)
    two.dock(card.folder)
    lost = card.take(3)
    card.erase(lost[1])
    assert one.dock(card.folder) == ["sequence-gap"]
    for station in (one, two):
        station.upload()
    for _ in range(3):
        one.look()
    assert one.states() == {"sequence-gap": "open"}
    assert one.events("finding-elsewhere") == 0
    [gap] = findings.opened(one.catalog.read(), RECORDER)
    assert gap.looked["centre"]["left"] == 1


def test_the_same_number_of_another_year_explains_nothing(
    stations: tuple[Station, Station], card: Card
) -> None:
    one, two = stations
    recorder = card.recorder
    card.erase(*card.take(2))
    old = card.take(4)
    two.dock(card.folder)
    two.upload()
    card.erase(*old)
    recorder.now += timedelta(days=365)
    recorder.last = 1
    card.take(2)
    one.dock(card.folder)
    card.erase(*card.take(1))
    card.take(1)
    assert one.dock(card.folder) == ["sequence-gap"]
    one.upload()
    one.look()
    assert one.states() == {"sequence-gap": "open"}


@pytest.mark.parametrize("now", ["counter-back", "card-changed"])
def test_what_somebody_did_elsewhere_is_explained_by_what_was_collected_there(
    stations: tuple[Station, Station], card: Card, now: str
) -> None:
    one, two = stations
    card.take(5)
    one.dock(card.folder)
    between = card.take(2)
    two.dock(card.folder)
    card.erase(*between)
    if now == "counter-back":
        card.recorder.last = 0
    card.take(2)
    found = one.dock(card.folder, "5678-ABCD" if now == "card-changed" else CARD, slot="A2")
    assert now in found
    one.upload()
    one.look()
    assert one.states()[now] == "open"
    two.upload()
    one.look()
    assert set(one.states().values()) == {"elsewhere"}


def test_what_was_seen_here_explains_nothing(stations: tuple[Station, Station], card: Card) -> None:
    one, two = stations
    card.take(5)
    one.dock(card.folder)
    card.take(1)
    two.dock(card.folder)
    card.recorder.last = 0
    card.take(2)
    assert one.dock(card.folder) == ["counter-back"]
    for station in (one, two):
        station.upload()
    one.look()
    assert one.states() == {"counter-back": "open"}


def test_a_recorder_is_looked_for_a_few_times_a_day_and_at_once_for_something_new(
    stations: tuple[Station, Station], card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = stations
    asked: list[str] = []
    real = type(one.target).collected  # type: ignore[attr-defined]

    def collected(self: Any, recorder: str, *more: Any) -> Iterator[str]:
        asked.append(recorder)
        return iter(real(self, recorder, *more))

    monkeypatch.setattr(type(one.target), "collected", collected)
    card.take(2)
    one.dock(card.folder)
    one.look()
    assert asked == []
    card.erase(card.take(2)[0])
    one.dock(card.folder)
    one.elsewhere.look()
    one.elsewhere.look()
    assert asked == [RECORDER]
    card.erase(card.take(2)[0])
    one.dock(card.folder)
    one.elsewhere.look()
    assert asked == [RECORDER] * 2
    one.clock.now += elsewhere.EVERY - 1
    one.elsewhere.look()
    assert asked == [RECORDER] * 2
    one.clock.now += 1
    one.elsewhere.look()
    assert asked == [RECORDER] * 3


def test_what_came_back_here_meanwhile_is_not_said_to_lie_elsewhere(
    stations: tuple[Station, Station], card: Card
) -> None:
    one, _ = stations
    files = card.take(2)
    one.dock(card.folder)
    data = (card.folder / "DCIM" / files[0].name).read_bytes()
    card.erase(files[0])
    assert one.dock(card.folder) == ["card-emptied"]
    path = card.folder / "DCIM" / files[0].name
    path.write_bytes(data)
    one.side.dock(card.folder)
    one.look()
    assert one.states() == {"card-emptied": "open"}
    one.judge.step(time.time() + 60)
    assert one.states() == {"card-emptied": "here"}


def test_a_centre_that_breaks_off_in_the_middle_says_nothing(
    stations: tuple[Station, Station], card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = stations
    card.take(2)
    one.dock(card.folder)
    card.erase(card.take(2)[0])
    one.dock(card.folder)
    one.upload()
    real = type(one.target).collected  # type: ignore[attr-defined]
    for error in (Transient("target-silent"), Stopping()):

        def collected(self: Any, *more: Any, error: Exception = error) -> Iterator[str]:
            yield next(iter(real(self, *more)))
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(type(one.target), "collected", collected)
            with pytest.raises(type(error)):
                one.look()
        [gap] = findings.opened(one.catalog.read(), RECORDER)
        assert gap.looked == {}
        one.elsewhere.look()  # not at once: another recorder is to have its turn
        [gap] = findings.opened(one.catalog.read(), RECORDER)
        assert gap.looked == {}
    one.clock.now += elsewhere._AGAIN
    one.elsewhere.look()
    [gap] = findings.opened(one.catalog.read(), RECORDER)
    assert gap.looked["centre"]["left"] == 1
