"""Nothing goes at the centre that a rule or a hold of any station protects: over random histories of two real
stations at one share, with wrong clocks, restarts, silence, and an archive that is killed in the middle.

What must stay is said by an account of its own: of each station as it was when it told the centre last.
"""

import copy
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from agent.archive import lists
from agent.archive.expire import expire
from agent.archive.folder import FolderStore
from agent.archive.plan import Archive
from agent.clock import Stamp
from agent.config import RetentionConfig
from agent.errors import Reject, StationError
from agent.upload.report.turn import Author, Report
from tests.retained_house import BEGIN, DAY, STEPS, Account, House, Said

MANY = int(os.environ.get("RECORDER_STATION_HISTORIES", "20"))
FIRST = int(os.environ.get("RECORDER_STATION_FIRST", "1"))
_LENGTH = 40  # steps
_TOGETHER = 10  # histories of one test
_SILENT = 7 * DAY
_WEEK = 7 * DAY
IDS = ("1" * 32, "2" * 32)
#: What a station does besides: its releases have a test of their own, and what the centre loses as well.
_OF_A_STATION = [one for one in STEPS if one[1] not in (House.spoil, House.let_go, House.restart)]


class Killed(BaseException):
    """The archive ends here."""


class Share(FolderStore):
    """Its clock is right, and it may be killed: `lives` more files may go."""

    lives = math.inf
    clock: Callable[[], float]

    def now(self) -> float:
        return self.clock()

    def erase(self, path: str) -> int:
        if self.lives <= 0:
            raise Killed
        self.lives -= 1
        return super().erase(path)


@dataclass
class Told:
    """A station as it was when it told the centre last."""

    at: float  # by its own clock
    said: Said
    sets: list[RetentionConfig]


class City:
    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        root.mkdir()
        self.share = root / "share"
        self.share.mkdir()
        self.houses = dict(zip(IDS, (self._house(id, seed) for id in IDS), strict=True))
        self.active = self.houses[IDS[0]]
        self.told: dict[str, Told] = {}
        self.before = set[str]()
        self.went = 0

    def _house(self, id: str, seed: int) -> House:
        folder = self.root / id
        folder.mkdir()
        house = House(folder, seed * 2 + int(id[0]))
        (folder / "share").rmdir()
        (folder / "share").symlink_to(self.share)
        return house

    @property
    def right(self) -> float:
        """What time it is."""
        return self.active.right

    def each(self) -> Iterator[tuple[str, House]]:
        for id, house in self.houses.items():
            self.active = house
            yield id, house

    def start(self) -> None:
        for id, house in self.each():
            house.start()
            self.report(id)

    def report(self, id: str) -> None:
        house = self.houses[id]
        self.active = house
        house.send()
        target, generation = house.target, house.station.uploads.generation
        if target.down:
            return
        if not generation.place("centre"):
            return
        try:
            Report(Author(id, "one", dict), generation, target, lambda: None).turn()
        except StationError:
            return
        self.told[id] = Told(house.now, copy.deepcopy(house.said), list(house.sets))

    def report_all(self) -> None:
        for id in IDS:
            self.report(id)

    def wait(self, seconds: float) -> None:
        for _, house in self.each():
            house.wait(seconds)

    # the archive

    def archive(self) -> Archive:
        store = Share(self.share)
        store.clock = lambda: self.right
        return Archive(store, (), lambda: self.right, _SILENT)

    def expire(self) -> None:
        """A list that may be old by the time it is used, and a run that may be cut off and go on."""
        path = self.root / "list.jsonl"
        if not path.exists() or self.random.random() < 0.5:
            lists.write(self.archive().plan(), path)
        wanted = lists.read(path.read_bytes())
        archive = self.archive()
        assert isinstance(archive.store, Share)
        archive.store.lives = self.random.choice([math.inf, math.inf, 0, 1, 2, 3])
        try:
            expire(archive, wanted, "Wang", "over", most=100.0)
        except (Killed, Reject):
            pass
        else:
            path.unlink()
        self.judge()

    # the judge

    def there(self) -> set[str]:
        clips = self.share / "clips"
        return {path.relative_to(clips).as_posix() for path in clips.rglob("*") if path.is_file()}

    def judge(self) -> None:
        there = self.there()
        for key in self.before - there:
            self.went += 1
            self._may_go(key.removesuffix(".json"))
        self.before = there

    def _may_go(self, key: str) -> None:
        tellers = [
            (told, number, account)
            for told in self.told.values()
            for number, account in told.said.clips.items()
            if account.key == key
        ]
        assert tellers, f"{key} went, and no station had told of it"
        for told, _, account in tellers:
            assert -3600 <= self.right - told.at <= _SILENT, f"{key} went, of a station that is not relied on"
            end = self._end(told, account)
            assert self.right >= end, f"{key} went {(end - self.right) / DAY} days too early"
        for holder in self.told.values():
            for hold in holder.said.holds.values():
                for told, number, account in tellers:
                    if hold.scope != "clip" or told is holder:
                        assert not hold.may_cover(number, account), f"{key} went under {hold}"

    def _end(self, told: Told, account: Account) -> float:
        """Until when it must be kept, worked out anew and without haste."""
        begin = account.docked
        if account.recorded is not None:
            recorded = account.recorded.timestamp()
            begin = recorded if begin - _WEEK <= recorded <= begin else begin
        every = [one for station in self.told.values() for one in station.sets]
        return begin + max(_period(kept, account, told.said.closed) for kept in every)

    def close(self) -> None:
        for _, house in self.each():
            house.station.close()
        shutil.rmtree(self.root)


def _period(kept: RetentionConfig, account: Account, closed: set[str]) -> float:
    classes = kept.every_class
    periods = [classes["ordinary"].seconds]
    if account.is_important or ("traffic" in kept.rules and account.category == "traffic"):
        periods.append(classes["important"].seconds)
    if account.case and account.case not in closed:
        periods.append(math.inf)
    if "a" in kept.rules and account.case.startswith("A"):
        periods.append(classes["long"].seconds)
    return max(periods)


Step = Callable[[City], None]
CITY: tuple[tuple[int, Step], ...] = (
    (6, lambda city: city.wait(city.random.choice([1, 4, 31, 61, 200]) * DAY)),
    (10, lambda city: city.report(city.random.choice(IDS))),
    (6, City.report_all),
    (10, City.expire),
)


def lived(root: Path, seed: int, patch: pytest.MonkeyPatch) -> City:
    city = City(root, seed)
    patch.setattr(time, "time", lambda: city.active.now)
    patch.setattr("agent.catalog.door.stamp", lambda: _stamp(city))
    city.start()
    for _, house in city.each():
        house.dock()
    weights = [weight for weight, _ in CITY]
    for _ in range(_LENGTH):
        if city.random.random() < 0.5:
            city.active = city.houses[city.random.choice(IDS)]
            [(_, step)] = city.random.choices(_OF_A_STATION, [weight for weight, _ in _OF_A_STATION])
            try:
                right = city.active.right
                step(city.active)
                _together(city, city.active.right - right)
            except (Reject, IndexError):  # there is nothing to lift, or it is so already
                continue
        else:
            [(_, act)] = city.random.choices(CITY, weights)
            act(city)
        # What stations do there themselves (they lay, and never delete) is no deed of the archive.
        city.before |= city.there()
    return city


def _stamp(city: City) -> Stamp:
    return city.active.stamp()


def _together(city: City, passed: float) -> None:
    """Time passes for all."""
    for house in city.houses.values():
        if house is not city.active:
            house.wait(passed)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY, _TOGETHER))
def test_nothing_goes_at_the_centre_that_any_station_protects_and_everything_else_does(
    tmp_path: Path, seed: int
) -> None:
    went = 0
    for one in range(seed, min(seed + _TOGETHER, FIRST + MANY)):
        with pytest.MonkeyPatch.context() as patch:
            city = lived(tmp_path / str(one), one, patch)
            at_last(city)
            went += city.went
            city.close()
    assert went > _TOGETHER / 2


def at_last(city: City) -> None:
    """When all is well again, and years have passed, what nothing keeps has gone."""
    for seconds in (0, 1000 * DAY):  # what was docked while no clock was right counts from now
        city.wait(seconds)
        for id, house in city.each():
            house.trusted, house.target.down = True, False
            house.mend_clock()
            house.tick()
            city.report(id)
            city.report(id)
    list_ = city.root / "list.jsonl"
    list_.unlink(missing_ok=True)
    city.random = _Steady()
    city.before |= city.there()
    city.expire()
    if any(house.said.jumped for house in city.houses.values()):
        return
    for key in {one.removesuffix(".json") for one in city.there()}:
        assert _is_kept(city, key), f"{key} stays, and nothing keeps it: {city.archive().plan().kept}"


class _Steady(random.Random):
    """Chooses what is first."""

    def random(self) -> float:
        return 0.0

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return seq[0]


def _is_kept(city: City, key: str) -> bool:
    try:
        city._may_go(key)
    except AssertionError:
        return True
    return _of_doubt(city, key)


def _of_doubt(city: City, key: str) -> bool:
    """A station may hold it in a state of its own: it could not send, or has not told yet. And a hold on an
    officer's time covers more than was certainly recorded then."""
    accounts = [
        (account, house.station.state(number))
        for house in city.houses.values()
        for number, account in house.said.clips.items()
        if account.key == key
    ]
    held = {
        hold.value
        for house in city.houses.values()
        for hold in house.said.holds.values()
        if hold.scope == "officer"
    }
    return any(
        state not in ("confirmed", "released") or account.officer in held for account, state in accounts
    )


def test_the_account_says_no_where_something_is_kept(tmp_path: Path) -> None:
    """It can fail."""
    account = Account("R1", "P1", datetime.fromtimestamp(BEGIN - 60), BEGIN, False, b"", "k")
    told = Told(BEGIN, Said(clips={1: account}), [House(tmp_path, 1).config])
    city = City(tmp_path / "city", 1)
    city.told = {IDS[0]: told}
    for house in city.houses.values():
        house.right = BEGIN + 182 * DAY
    told.at = city.right
    with pytest.raises(AssertionError, match="too early"):
        city._may_go("k")
    for house in city.houses.values():
        house.right = told.at = BEGIN + 184 * DAY
    city._may_go("k")
    account.case = "A1"
    with pytest.raises(AssertionError, match="too early"):
        city._may_go("k")
