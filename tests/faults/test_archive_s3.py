"""The archive over a real bucket: every version goes, and nothing that the store or a station still holds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.archive.bucket import BucketStore
from agent.errors import StationError, Transient
from agent.upload.targets.s3 import lock
from agent.upload.targets.s3.lock import Mode
from agent.upload.targets.s3.versions import Version, Versions
from tests.archived import (
    DAY,
    HOUR,
    LATER,
    ONE,
    Sites,
    archive,
    certificates,
    erase,
    going,
    label,
    listed,
    reasons,
)  # fmt: skip
from tests.contract.s3_kit import S3Kit
from tests.servers.weed import Weed
from tests.uploading import Station, content, locked


class Dated(BucketStore):
    """Its clock is the test's."""

    sites: Sites

    def now(self) -> float:
        return self.sites.now


class House:
    """Stations at a bucket, and the archive's view of it."""

    def __init__(self, root: Path, weed: Weed, *, versioned: bool, mode: Mode | None = None) -> None:
        self.versioned = versioned
        self.kit = S3Kit(weed, locked=versioned)
        self.sites = Sites(root, lambda: self.kit.target_at(weed.url, lock=mode))
        admin = self.kit._admin
        self.bucket = Versions(admin._wire, weed.url, self.kit.name, admin._credentials)
        self.store = Dated("s3", self.bucket)
        self.store.sites = self.sites

    def versions(self, key: str = "") -> list[Version]:
        return list(self.bucket.versions(f"clips/{key}"))

    def hold(self, key: str) -> None:
        for path in (f"clips/{key}", f"clips/{key}.json"):
            self.bucket.change(path, "legal-hold", lock.legal_hold())

    def put(self, path: str, data: bytes) -> None:
        self.bucket.put(path, data, hashlib.sha256(data).digest(), replace=True)

    def close(self) -> None:
        self.sites.close()
        self.kit.__exit__()


@pytest.fixture(params=[False, True], ids=["plain", "versioned"])
def house(
    request: pytest.FixtureRequest, tmp_path: Path, weed: Weed, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    made = House(tmp_path, weed, versioned=request.param)
    monkeypatch.setattr("agent.catalog.door.stamp", made.sites.stamp)
    yield made
    made.close()


@pytest.fixture
def versioned(tmp_path: Path, weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """As stations leave it that lock nothing."""
    made = House(tmp_path, weed, versioned=True)
    monkeypatch.setattr("agent.catalog.door.stamp", made.sites.stamp)
    yield made
    made.close()


@pytest.fixture
def locking(tmp_path: Path, weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(tmp_path, weed, versioned=True, mode=Mode.GOVERNANCE)
    monkeypatch.setattr("agent.catalog.door.stamp", made.sites.stamp)
    yield made
    made.close()


def two(house: House) -> tuple[Station, str, str]:
    station = house.sites.station()
    clips = [station.store(f"{number}.mp4", content(1000, number)) for number in range(2)]
    house.sites.tell()
    return station, station.key(clips[0]), station.key(clips[1])


def test_a_store_tells_what_lies_there_and_erases_exactly_what_it_is_told(house: House) -> None:
    paths = [f"clips/a/{number}" for number in range(3)] + ["clips/a/1.json", "clips/b/c/x", "other/y"]
    for path in paths:
        house.put(path, path.encode())
    store = house.store
    assert [entry.path for entry in store.entries("clips")] == sorted(paths[:5])
    assert store.below("clips") == ["a", "b"]
    assert store.below("clips/a") == ["0", "1", "1.json", "2"]
    assert store.below("clips/a", after="1") == ["1.json", "2"]
    assert store.below("nowhere") == []
    assert store.erase("clips/a/1") == 1
    assert store.erase("clips/a/1") == 0
    assert (store.exists("clips/a/1"), store.exists("clips/a/1.json")) == (False, True)
    assert (store.read("clips/a/1"), store.read("other/y")) == (None, b"other/y")
    assert (store.lay("certificates/z", b"1"), store.lay("certificates/z", b"2")) == (True, False)
    assert store.read("certificates/z") == b"1"


def test_pages_of_names_are_read_to_their_end(house: House) -> None:
    for number in range(7):
        house.put(f"clips/{number % 4}/{number}", b"x")
    asked = house.bucket._ask

    def in_small_pages(method: str, key: str, query: object = None, **more: object) -> object:
        if method == "GET" and not key and isinstance(query, dict):
            query = {**query, "max-keys": "2"}
        return asked(method, key, query, **more)  # type: ignore[arg-type]

    house.bucket._ask = in_small_pages  # type: ignore[method-assign, assignment]
    assert house.store.below("clips") == ["0", "1", "2", "3"]
    assert house.store.below("clips/0") == ["0", "4"]
    assert len(list(house.store.entries("clips"))) == 7


def test_every_version_goes_and_what_only_looks_deleted_too(house: House) -> None:
    _, first, second = two(house)
    for path in (f"clips/{first}", f"clips/{first}.json"):
        house.put(path, house.bucket.get(path) or b"")
    house.bucket._ask("DELETE", f"clips/{second}", fine=(204,))
    house.bucket._ask("DELETE", f"clips/{second}.json", fine=(204,))
    house.sites.later(LATER)
    made = archive(house.sites, house.store)
    plan = made.plan()
    assert len(house.versions()) == (8 if house.versioned else 2)
    assert going(plan) == ({first, second} if house.versioned else {first})
    done = erase(made, listed(plan, house.sites.root))
    assert (done.erased, house.versions()) == (len(plan.going), [])
    assert {said["state"] for said in certificates(house.store).values()} == {"begun", "done"}
    assert list(house.bucket.versions("stations/"))


def test_what_is_locked_for_longer_stays(locking: House) -> None:
    station = locking.sites.station()
    station.uploads = station.make_uploads(lock=locked(ordinary=400 * DAY))
    locking.sites.reports[ONE]._generation = station.uploads.generation
    key = station.key(station.store("0.mp4", content(1000)))
    locking.sites.tell()
    locking.sites.later(LATER)
    made = archive(locking.sites, locking.store)
    assert reasons(made.plan()) == {"locked": 1}
    assert len(locking.versions(key)) == 2


def test_a_lock_is_never_bypassed_whatever_the_archive_believes(locking: House) -> None:
    _, first, second = two(locking)  # locked for 183 days, by the server's clock
    locking.sites.later(LATER)
    made = archive(locking.sites, locking.store)
    wanted = listed(made.plan(), locking.sites.root)
    assert wanted.clips == 2
    with pytest.raises(StationError):
        erase(made, wanted)
    assert len(locking.versions(first)) == len(locking.versions(second)) == 2


def test_a_legal_hold_that_no_station_explains_stays(versioned: House) -> None:
    _, first, second = two(versioned)
    versioned.sites.later(LATER)
    wanted = listed(archive(versioned.sites, versioned.store).plan(), versioned.sites.root)
    versioned.hold(first)
    plan = archive(versioned.sites, versioned.store).plan()
    assert (going(plan), reasons(plan)) == ({second}, {"held-at-centre": 1})
    done = erase(archive(versioned.sites, versioned.store), wanted)
    assert (done.erased, done.kept) == (1, [(first, "held-at-centre")])


def test_a_legal_hold_of_what_is_let_go_ends_when_the_stations_had_time_to_tell(versioned: House) -> None:
    station, first, _ = two(versioned)
    clip = min(row[0] for row in station.catalog.read().execute("SELECT id FROM clips"))
    assert station.key(clip) == first
    label(station, clip, important="yes")
    label(station, clip, important="no")
    versioned.hold(first)
    versioned.sites.tell()
    versioned.sites.later(LATER)
    wanted = listed(archive(versioned.sites, versioned.store).plan(), versioned.sites.root)
    assert wanted.clips == 2
    # A new hold may lie on it by now, which is not told yet.
    versioned.sites.later(HOUR / 2)
    done = erase(archive(versioned.sites, versioned.store), wanted)
    assert (done.erased, done.kept) == (1, [(first, "held-at-centre")])
    again = listed(archive(versioned.sites, versioned.store).plan(), versioned.sites.root)
    versioned.sites.later(2 * HOUR)
    assert erase(archive(versioned.sites, versioned.store), again).erased == 1
    assert versioned.versions() == []


def test_a_version_that_shows_only_later_goes_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = two(house)
    path = f"clips/{first}"
    house.put(path, house.bucket.get(path) or b"")
    listing, shown = Versions.versions, list[int]()

    def lying(bucket: Versions, prefix: str) -> Iterator[Version]:
        found = list(listing(bucket, prefix))
        shown.append(len(found))
        yield from found[1:] if len(shown) == 1 and house.versioned else found

    monkeypatch.setattr(Versions, "versions", lying)
    house.store.erase(path)
    monkeypatch.undo()
    assert [version.key for version in house.versions(first)] == [f"{path}.json"]


def test_what_comes_back_each_time_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = two(house)
    deleted = Versions.delete

    def and_laid_again(bucket: Versions, version: Version) -> None:
        deleted(bucket, version)
        house.put(version.key, b"again")

    monkeypatch.setattr(Versions, "delete", and_laid_again)
    with pytest.raises(Transient, match="archive-comes-back"):
        house.store.erase(f"clips/{first}")
