"""Who is behind a target's name: what another share or disk vouched for is nobody else's word."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, places
from agent.config import Config
from agent.config.targets import FolderTarget as FolderConfig
from agent.errors import Reject
from agent.model import StoredClip
from agent.upload.build import build
from agent.upload.live import LiveUploads
from agent.upload.targets.folder import FolderTarget
from tests.unit.test_upload_scheduler import HOUR, moody
from tests.uploading import Station, content, eventually, locked

DATA = content(1000)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def config(**targets: Path) -> Config:
    made = {name: {"kind": "folder", "path": path, "local": True} for name, path in targets.items()}
    return Config.model_validate({"targets": made})


def marked(folder: Path) -> FolderTarget:
    folder.mkdir()
    target = FolderTarget("another station's", folder, first_contact=True)
    target.place()
    return target


def changes(catalog: Catalog) -> list[dict[str, Any]]:
    rows = catalog.read().execute("SELECT body FROM events WHERE kind = 'target-changed'")
    return [json.loads(row[0]) for row in rows]


def accepted(catalog: Catalog) -> list[dict[str, Any]]:
    rows = catalog.read().execute("SELECT body FROM events WHERE kind = 'target-accepted' ORDER BY seq")
    return [json.loads(row[0]) for row in rows]


def built(station: Station, *, local: bool) -> None:
    made = FolderConfig(kind="folder", path=station.share, local=local)
    station.targets = {**build({"centre": made}, lambda *_: "", station.clips)}
    station.uploads = station.make_uploads()


def test_an_unmounted_share_is_not_taken_for_the_centre_when_the_catalog_was_lost(station: Station) -> None:
    """Nobody remembers that the share was used before: only its file system tells that it is not there."""
    clip = station.store("1.mp4", DATA)
    built(station, local=False)
    station.run()
    assert station.state(clip) == "stored"
    problem = station.uploads.facts()["centre"].problem
    assert problem is not None
    assert problem.key == "target-not-mounted"
    assert not any(station.share.iterdir())


def test_a_folder_on_the_own_disk_is_taken_when_that_is_wanted(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    built(station, local=True)
    station.run()
    assert station.state(clip) == "confirmed"


def test_a_target_that_does_not_say_who_it_is_shows_at_once(station: Station, tmp_path: Path) -> None:
    """Also while no clip is due, and long before the breaker has seen enough."""
    uploads = LiveUploads(station.catalog, station.path, locked())
    uploads.apply(config(centre=tmp_path / "not there"))
    eventually(lambda: "centre" in uploads.failing())
    assert uploads.failing()["centre"].key == "target-not-mounted"
    (tmp_path / "not there").mkdir()
    eventually(lambda: uploads.failing() == {})
    assert uploads.stop(60)


def test_another_share_under_the_same_name_gets_nothing_until_it_is_accepted(
    station: Station, tmp_path: Path
) -> None:
    """The first one has confirmed, the clip waits for the other target; then the path is changed."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    clip = station.store("1.mp4", DATA)
    uploads = LiveUploads(station.catalog, station.path, locked())
    uploads.apply(config(a=tmp_path / "first", b=tmp_path / "b"))
    eventually(lambda: station.delivery(clip, "a").get("state") == "confirmed")
    (tmp_path / "b").mkdir()
    uploads.apply(config(a=tmp_path / "second", b=tmp_path / "b"))
    eventually(lambda: "a" in uploads.failing() and station.delivery(clip, "b").get("state") == "confirmed")
    problem = uploads.failing()["a"]
    assert (problem.key, problem.params["address"]) == ("target-changed", str(tmp_path / "second"))
    assert station.state(clip) == "uploading"
    assert not (tmp_path / "second" / "clips").exists()

    with pytest.raises(Reject):
        uploads.accept("c", str(problem.params["now"]), "uid 0")
    uploads.accept("a", "some other place", "uid 0")
    eventually(lambda: "a" in uploads.failing())
    assert changes(station.catalog) == []
    uploads.accept("a", str(problem.params["now"]), "uid 0")
    eventually(lambda: station.state(clip) == "confirmed")
    assert uploads.stop(60)
    for name in ("first", "second", "b"):
        assert (tmp_path / name / "clips" / station.key(clip)).read_bytes() == DATA
    [change] = changes(station.catalog)
    assert (change["target"], change["address"]) == ("a", str(tmp_path / "second"))
    assert accepted(station.catalog)[-1] == {"target": "a", "place": problem.params["now"], "who": "uid 0"}


def test_a_target_that_does_not_answer_after_a_restart_lets_nothing_be_confirmed(
    station: Station, tmp_path: Path
) -> None:
    """It confirmed before; whether that is still behind its name, it alone can tell."""
    targets = {"a": marked(tmp_path / "a"), "b": marked(tmp_path / "b")}
    (tmp_path / "b").rename(tmp_path / "b, away")
    station.targets = {**targets}
    for name, target in targets.items():
        target.name = name
    station.uploads = station.make_uploads()
    clip = station.store("1.mp4", DATA)
    station.run()
    assert station.delivery(clip, "a")["state"] == "confirmed"
    (tmp_path / "b, away").rename(tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "a, away")
    station.uploads = station.make_uploads()
    station.run()
    assert station.delivery(clip, "b")["state"] == "confirmed"
    assert station.state(clip) == "uploading"
    (tmp_path / "a, away").rename(tmp_path / "a")
    station.clock.now += HOUR
    station.run()
    assert station.state(clip) == "confirmed"
    assert changes(station.catalog) == []


def test_a_share_that_is_swapped_before_it_vouches_confirms_only_once_it_is_accepted(tmp_path: Path) -> None:
    """Both hold the clip, as a share and its copy do."""
    swapped = False

    def before(step: str, clip: StoredClip) -> None:
        nonlocal swapped
        if step == "verify" and not swapped:
            swapped = True
            there = tmp_path / "other" / "clips" / clip.key
            there.parent.mkdir(parents=True)
            for suffix in ("", ".json"):
                mine = tmp_path / "share" / "clips" / (clip.key + suffix)
                there.with_name(there.name + suffix).write_bytes(mine.read_bytes())
            (tmp_path / "share").rename(tmp_path / "gone")
            (tmp_path / "other").rename(tmp_path / "share")

    station = moody(tmp_path, before)
    other = marked(tmp_path / "other").place()
    clip = station.store("1.mp4", DATA)
    station.run()
    assert changes(station.catalog) == []
    assert station.state(clip) != "confirmed"
    station.catalog.write(lambda tx: places.accept(tx, "centre", other, "uid 0"))
    station.clock.now += HOUR
    station.run()
    [change] = changes(station.catalog)
    assert change["to"] == other != change["from"]
    assert station.state(clip) == "confirmed"
    assert station.delivery(clip)["place"] == other
    station.close()


def test_a_target_that_is_added_later_gets_what_is_not_confirmed_and_nothing_else(
    station: Station, tmp_path: Path
) -> None:
    before = station.store("1.mp4", DATA)
    station.run()
    late = station.store("2.mp4", DATA * 2)
    added = marked(tmp_path / "added")
    added.name = "added"
    station.targets = {**station.targets, "added": added}
    station.uploads = station.make_uploads()
    station.run()
    assert station.states() == {"confirmed"}
    assert [bool(station.delivery(clip, "added")) for clip in (before, late)] == [False, True]
