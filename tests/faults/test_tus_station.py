"""A station that uploads by tus, over each server: stored, confirmed, byte-equal; never confirmed for bytes
that are others; and only at the store that it knows."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.errors import Transient
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.tus.bare import BareTarget
from agent.upload.targets.tus.named import NamedTarget
from agent.upload.targets.tus.protocol import Server
from tests.contract.tus_kit import TusKit, WeedTusKit, call
from tests.servers.faults import Fault, Flip, LoseResponse, Reply, Reset, Rule
from tests.servers.proxy import FaultProxy
from tests.servers.tus_node import TusNode
from tests.servers.weed import Weed
from tests.uploading import PART, Bytes, Station, content, send_all

Filer = tuple[WeedTusKit, FaultProxy]
HOUR, DAY = 3600.0, 86400.0
MARK = ".recorder-station-target"


@pytest.fixture
def station(tmp_path: Path, tus: TusKit, line: FaultProxy) -> Iterator[Station]:
    made = Station(tmp_path, {"centre": tus.target_at(tus.through(line.port))})
    yield made
    made.close()


@pytest.fixture
def tus_filer(weed: Weed) -> Iterator[Filer]:
    with WeedTusKit(weed) as kit, FaultProxy(kit.port) as line:
        yield kit, line


def hours(station: Station, number: int) -> None:
    for _ in range(number):
        station.run()
        station.clock.now += HOUR
    station.run()


@pytest.mark.parametrize("size", [0, 1, PART, 3 * PART + 7])
def test_a_stored_clip_is_confirmed_and_lies_there_byte_for_byte(
    station: Station, tus: TusKit, size: int
) -> None:
    data = content(size)
    clip = station.store("1.mp4", data)
    station.run()
    assert station.state(clip) == "confirmed"
    assert tus.at(station.key(clip)) == data


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Flip(at=100), "PATCH", times=6),
        Rule(Flip(at=100, way="out"), "GET", nth=2, times=6),
        Rule(LoseResponse(), "PATCH|POST|GET", times=9),
        Rule(Reset(after=30_000), "PATCH", nth=2, times=3),
        Rule(Reset(after=500, way="out"), "GET", nth=2, times=4),
        Rule(Reply(410), "HEAD|PATCH", nth=3, times=3),
        Rule(Reply(409), "PATCH", times=4),
        Rule(Reply(423), "PATCH|HEAD", times=4),
        Rule(Reply(500), "GET", times=4),
        Rule(Reply(507), "PATCH", times=4),
        Rule(Reply(403), "POST", times=2),
    ],
    ids=lambda rule: f"{type(rule.fault).__name__} {getattr(rule.fault, 'status', '')} {rule.method}",
)
def test_after_any_fault_the_clip_is_confirmed_in_the_end_and_never_before_it_is_right(
    station: Station, tus: TusKit, line: FaultProxy, rule: Rule
) -> None:
    data = content(3 * PART + 7)
    clip = station.store("1.mp4", data)
    line.add(rule)
    while station.state(clip) != "confirmed" and station.clock.now < 3 * DAY:
        hours(station, 1)
    assert [seen for seen in line.seen if seen.fault]
    assert station.state(clip) == "confirmed"
    assert tus.at(station.key(clip)) == data


@pytest.mark.parametrize("fault", [Flip(at=5), Flip(at=5, way="out")], ids=["sent", "read"])
def test_while_every_bit_flips_nothing_is_confirmed(
    station: Station, tus: TusKit, line: FaultProxy, fault: Fault
) -> None:
    station.run()  # it has said who it is
    clip = station.store("1.mp4", content(3 * PART))
    line.add(Rule(fault, "PATCH" if fault == Flip(at=5) else "GET", times=100_000))
    hours(station, 5)
    assert station.state(clip) != "confirmed"
    line.clear()
    hours(station, 30)
    assert station.state(clip) == "confirmed"


def test_a_clip_that_the_server_lost_is_noticed_and_sent_again(station: Station, tus: TusKit) -> None:
    data = content(2 * PART)
    clip = station.store("1.mp4", data)
    station.run()
    tus.remove(tus.clip(data, station.key(clip)), manifest=False)
    station.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - ?", (8 * DAY,)))
    hours(station, 2)
    assert "lost-at-target" in [kind for kind, _ in station.events(clip)]
    assert station.state(clip) == "confirmed"
    assert tus.at(station.key(clip)) == data


def test_a_server_that_lost_the_mark_gets_nothing(station: Station, tus: TusKit) -> None:
    before = station.store("1.mp4", content(PART))
    station.run()
    tus.forget(MARK)
    late = station.store("2.mp4", content(PART, seed=2))
    hours(station, 2)
    assert (station.state(before), station.state(late)) == ("confirmed", "stored")
    problem = station.uploads.facts()["centre"].problem
    assert problem is not None and problem.key == "target-no-mark"


def test_the_place_is_found_again_after_a_restart(tus: TusKit) -> None:
    place = tus.target().place()
    assert tus.target().place() == place


def test_the_mark_of_a_bare_server_is_looked_for_where_it_was_made(tus_node: TusNode) -> None:
    def at(known: str) -> BareTarget:
        return BareTarget("centre", "tus", Server(Wire(Line()), tus_node.url), known=known)

    place = at("").place()
    assert at(place).place() == place
    assert at("").place() != place, "it cannot be found by anybody else"
    for known, key in (
        (place[:-4] + "beef", "target-no-mark"),
        ("0" + place[1:] if place[0] != "0" else "1" + place[1:], "target-mark-damaged"),
        ("6a0c3d4e", "target-mark-unknown"),
    ):
        with pytest.raises(Transient) as raised:
            at(known).place()
        assert raised.value.key == key


def test_one_answer_that_was_damaged_refuses_no_clip_and_makes_no_other_store(tus_filer: Filer) -> None:
    """A mark, a manifest that is there already, and a clip that is there already."""
    kit, line = tus_filer
    data = content(PART)
    clip, target = kit.clip(data), kit.target_at(kit.through(line.port))
    place = target.place()
    target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(data)))
    for path, at in (("\\.json$", 100), ("\\.mp4$", 5)):
        line.add(Rule(Flip(at=at, way="out"), "GET", path))
        fresh = kit.target_at(kit.through(line.port))
        with suppress(Transient):
            token = fresh.begin(clip)
            fresh.finish(clip, send_all(fresh, clip, token, Bytes(data)))
    line.add(Rule(Flip(at=30, way="out"), "GET", MARK))
    with suppress(Transient):
        assert kit.target_at(kit.through(line.port)).place() == place
    assert len([seen for seen in line.seen if seen.fault]) == 3


@pytest.mark.parametrize("unseen", [False, True], ids=["seen at once", "seen later"])
def test_a_mark_that_is_damaged_on_its_way_there_is_made_again(weed: Weed, unseen: bool) -> None:
    """Else the folder would be of no use to anybody until somebody came and removed it."""
    with WeedTusKit(weed) as kit, FaultProxy(kit.port, Rule(Flip(at=0), "PATCH")) as line:
        if unseen:
            line.add(Rule(Reset(0, "out"), "GET", MARK, nth=3))
        first = NamedTarget("centre", "tus", Server(Wire(Line()), kit.through(line.port)), first_contact=True)
        for _ in range(2):
            with suppress(Transient):
                first.place()
        assert len([seen for seen in line.seen if seen.fault]) == 1 + unseen
        later = NamedTarget("centre", "tus", Server(Wire(Line()), kit.url), first_contact=False)
        assert first.place() == later.place()


def test_a_bare_mark_that_is_damaged_on_its_way_there_is_made_again(tus_node: TusNode) -> None:
    url, [port] = tus_node.url, tus_node.ports
    with FaultProxy(port, Rule(Flip(at=0), "PATCH")) as line:
        server = Server(Wire(Line()), url.replace(f":{port}/", f":{line.port}/"))
        target = BareTarget("centre", "tus", server, known="")
        with pytest.raises(Transient):
            target.place()
        assert target.place() == target.place()


def test_a_damaged_mark_beside_anything_else_is_left_as_it_is(weed: Weed) -> None:
    with WeedTusKit(weed) as kit:
        kit.place(kit.clip(b"x"), b"a clip")
        damaged = kit.url.replace("/.tus", "") + f"/{MARK}"
        assert call("PUT", damaged, b"no mark").status_code == 201
        target = NamedTarget("centre", "tus", Server(Wire(Line()), kit.url), first_contact=True)
        with pytest.raises(Transient) as raised:
            target.place()
        assert raised.value.key == "target-mark-damaged"
        assert call("GET", damaged).content == b"no mark"


def test_an_upload_that_the_server_was_killed_over_as_it_became_whole_is_swept(weed: Weed) -> None:
    """It has made the object, says so in the upload's folder, and has not come to remove that."""
    with WeedTusKit(weed) as kit:
        target, clip = kit.target(), kit.clip(content(PART))
        token = target.begin(clip)
        consumed = f"{weed.filer}/.uploads.tus/{token.rpartition('/')[2]}/.consumed"
        assert call("PUT", consumed).status_code == 201
        assert target.sweep((), age=-HOUR) == 1
        assert kit.transfer(token) is None


def test_a_folder_of_a_filer_that_holds_something_else_is_not_marked(weed: Weed) -> None:
    with WeedTusKit(weed) as kit:
        kit.place(kit.clip(b"x"), b"something else")
        target = NamedTarget("centre", "tus", Server(Wire(Line()), kit.url), first_contact=True)
        with pytest.raises(Transient) as raised:
            target.place()
        assert raised.value.key == "target-not-empty"
