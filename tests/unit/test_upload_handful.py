"""Short clips go by the handful: in their order, each with its own fate, and every one exactly once."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import deliveries, priority
from agent.config.schema import UploadConfig
from agent.errors import Transient
from agent.model import ClipState, Problem, Receipt, StoredClip
from agent.upload.generation import Generation
from agent.upload.lane import _HANDFUL, _HANDFUL_BYTES
from agent.upload.targets import document
from agent.upload.targets.base import Check, LocalReader, go_on
from tests.unit.test_upload_limits import hours_from
from tests.unit.test_upload_scheduler import HOUR, Moody, facts
from tests.uploading import PART, Station, content, eventually, running


class Killed(BaseException):
    """The agent ends at this line."""


class ShortFolder(Moody):
    """A folder that takes short clips at once, as a bucket does. Keeps the names of what it was sent."""

    def __init__(
        self, root: Path, before: Callable[[str, StoredClip], None] = lambda step, clip: None
    ) -> None:
        super().__init__(root, before)
        self.laid: list[int] = []  # at once
        self.alone: list[int] = []  # the ordinary way

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        self.alone.append(clip.id)
        return super().send(clip, token, reader, offset, length)

    def lay_new(self, clip: StoredClip, reader: LocalReader) -> bool:
        self.before("lay", clip)
        path, manifest = self.path(clip), self.path(clip).with_name(self.path(clip).name + ".json")
        if path.exists() or manifest.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_bytes(document.write(clip))
        data = reader.pread(clip.manifest.size, 0)
        path.write_bytes(data)
        self.laid.append(clip.id)
        self.before("laid", clip)
        return True

    def told(self, clips: Sequence[StoredClip], check: Check = go_on) -> Iterator[Receipt | None]:
        for clip in clips:
            check()
            self.before("told", clip)
            data = self.path(clip).read_bytes()
            yield Receipt("there", len(data), hashlib.sha256(data).hexdigest(), 1.0, "")

    def path(self, clip: StoredClip) -> Path:
        return Path(self.address) / "clips" / clip.key


def short(root: Path, before: Callable[[str, StoredClip], None] = lambda step, clip: None) -> Station:
    return Station(root, {"centre": ShortFolder(root / "share", before)})


@pytest.fixture(name="station")
def made_station(tmp_path: Path) -> Iterator[Station]:
    made = short(tmp_path)
    yield made
    made.close()


def centre(station: Station) -> ShortFolder:
    target = station.targets["centre"]
    assert isinstance(target, ShortFolder)
    return target


def stored(station: Station, count: int, first: int = 0, **more: Any) -> list[int]:
    return [station.store(f"{n}.mp4", content(100 + n, n), **more) for n in range(first, first + count)]


def at(step: str, clip_name: str, what: Callable[[], None]) -> Callable[[str, StoredClip], None]:
    """`what` happens the first time at this step of the clip of that name."""
    done = False

    def before(now: str, clip: StoredClip) -> None:
        nonlocal done
        if not done and now == step and clip.key.rpartition("/")[2].startswith(clip_name):
            done = True
            what()

    return before


def fail(error: BaseException) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


def whole(station: Station, clips: Sequence[int]) -> None:
    """Every clip is confirmed, once, and is at the centre as it is here."""
    for clip in clips:
        kinds = [kind for kind, _ in station.events(clip)]
        assert kinds.count("confirmed") == 1, kinds
        assert station.at_centre(clip) == station.path(station.key(clip)).read_bytes()


def greeted(station: Station) -> None:
    """It has said who it is, and was swept."""
    station.run()


def test_short_clips_go_together_and_in_their_order(station: Station) -> None:
    greeted(station)
    more = _HANDFUL + 4
    clips = stored(station, more)
    long = station.store("long.mp4", content(3 * PART))
    clips += stored(station, more, first=more)
    important = stored(station, 5, first=2 * more, important=True)
    steps = 0
    while station.uploads.step():
        steps += 1
    assert centre(station).laid == important + clips
    assert set(centre(station).alone) == {long}
    # important ones, a handful, the 4 before the long one, that one, a handful, the last 4
    assert steps == 6
    whole(station, [*clips, *important, long])


def test_a_handful_is_bounded_by_its_bytes(station: Station) -> None:
    greeted(station)
    size = _HANDFUL_BYTES // 3 - 1
    clips = [station.store(f"{n}.mp4", content(size, n), part_size=8 << 20) for n in range(7)]
    taken = list[int]()
    while station.uploads.step():
        taken.append(len(centre(station).laid))
    assert taken == [3, 6, 6]  # and the last one alone
    whole(station, clips)


def test_a_handful_is_one_uploader_and_all_its_clips_are_shown(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    others: list[int] = []

    def look() -> None:
        seen.append(facts(station).in_flight)
        other = threading.Thread(target=station.uploads.step)
        other.start()
        other.join(60)
        others.extend(centre(station).laid)

    station = short(tmp_path, at("lay", "0.mp4", look))
    greeted(station)
    clips = stored(station, 2 * _HANDFUL)
    station.run()
    assert seen == [tuple(clips[:_HANDFUL])]
    assert others == clips[_HANDFUL:], "the second uploader did not take the next ones"
    assert facts(station).in_flight == ()
    whole(station, clips)
    station.close()


def test_one_clip_that_fails_takes_nothing_of_the_others(tmp_path: Path) -> None:
    station = short(tmp_path, at("lay", "7.mp4", fail(Transient(error="EIO"))))
    clips = stored(station, 16)
    station.run()
    assert {clip for clip in clips if station.state(clip) != "confirmed"} == {clips[7]}
    assert "EIO" in station.delivery(clips[7])["problem"]
    station.clock.now += HOUR
    station.run()
    whole(station, clips)
    station.close()


def test_a_target_that_fails_is_not_thrown_at_by_a_whole_handful(tmp_path: Path) -> None:
    tries: list[int] = []

    def before(step: str, clip: StoredClip) -> None:
        if step in ("lay", "send"):
            tries.append(clip.id)
            raise Transient(error="EIO")

    station = short(tmp_path, before)
    stored(station, 40)
    station.run()
    assert len(tries) <= 5, "as many as open its breaker"
    station.close()


def test_a_clip_that_makes_the_code_fail_does_not_stop_the_others(tmp_path: Path) -> None:
    def before(step: str, clip: StoredClip) -> None:
        if step in ("lay", "send") and "poison" in clip.key:
            raise ZeroDivisionError

    station = short(tmp_path, before)
    clips = stored(station, 5)
    poison = station.store("poison.mp4", b"poison")
    clips += stored(station, 5, first=5)
    station.run()
    assert {station.state(clip) for clip in clips} == {"confirmed"}
    assert station.state(poison) == "uploading"
    station.close()


def test_a_clip_that_is_not_what_was_stored_is_quarantined_and_the_others_arrive(station: Station) -> None:
    clips = stored(station, 16)
    station.path(station.key(clips[3])).unlink()
    station.path(station.key(clips[9])).write_bytes(b"another size")
    station.run()
    assert [station.state(clip) for clip in (clips[3], clips[9])] == ["quarantined"] * 2
    whole(station, [clip for clip in clips if clip not in (clips[3], clips[9])])


def test_what_lies_there_already_is_not_replaced(station: Station) -> None:
    greeted(station)
    clips = stored(station, 16)
    there = Path(centre(station).address) / "clips" / station.key(clips[4])
    there.parent.mkdir(parents=True)
    there.write_bytes(b"of somebody else")
    station.run()
    assert station.state(clips[4]) == "rejected"
    assert there.read_bytes() == b"of somebody else"
    whole(station, clips[:4] + clips[5:])


def test_clips_that_are_at_the_centre_already_are_not_sent_again(station: Station) -> None:
    """As after a catalog that was lost."""
    greeted(station)
    clips = stored(station, 20)
    for clip in clips:
        delivery = deliveries.load(station.catalog.read(), clip, "centre", "")
        assert delivery
        path = centre(station).path(delivery.clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(station.path(station.key(clip)).read_bytes())
    station.run()
    assert centre(station).laid == centre(station).alone == []
    whole(station, clips)


def test_a_receipt_that_differs_confirms_nothing_but_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = short(tmp_path)
    clips = stored(station, 16)
    honest = ShortFolder.told

    def told(self: ShortFolder, of: Sequence[StoredClip], check: Check) -> Iterator[Receipt | None]:
        for clip, receipt in zip(of, honest(self, of, check), strict=True):
            yield replace(receipt, sha256="0" * 64) if receipt and clip.id == clips[5] else receipt

    monkeypatch.setattr(ShortFolder, "told", told)
    while station.uploads.step() and not centre(station).laid:
        pass
    assert [clip for clip in clips if station.state(clip) != "confirmed"] == [clips[5]]
    assert station.delivery(clips[5])["state"] == "sending"
    assert station.delivery(clips[5])["distrusted"] == 1
    station.clock.now += HOUR
    station.run()  # alone, and read back
    whole(station, clips)
    station.close()


def test_a_clip_of_which_the_target_tells_nothing_is_asked_for_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = short(tmp_path)
    clips = stored(station, 16)
    monkeypatch.setattr(ShortFolder, "told", lambda self, of, check: iter([None] * len(of)))
    station.run()
    assert centre(station).laid == clips
    assert centre(station).alone == [], "a byte was sent twice"
    whole(station, clips)
    station.close()


def test_a_clip_that_somebody_moved_meanwhile_takes_nothing_of_the_others(tmp_path: Path) -> None:
    def move() -> None:
        problem = Problem("not-equal", {})
        station.catalog.write(lambda tx: deliveries.quarantined(tx, clips[2], problem))

    station = short(tmp_path, at("told", "9.mp4", move))
    clips = stored(station, 16)
    station.run()
    assert station.state(clips[2]) == ClipState.QUARANTINED
    assert "confirmed" not in [kind for kind, _ in station.events(clips[2])]
    whole(station, clips[:2] + clips[3:])
    station.close()


@pytest.mark.parametrize("mood", ["swapped", "gone"])
def test_another_store_that_answers_last_confirms_nothing(tmp_path: Path, mood: str) -> None:
    mark = tmp_path / "share" / ".recorder-station-target"

    def swap() -> None:
        ours.append(mark.read_bytes())
        if mood == "swapped":
            mark.write_bytes(b'{"format": 1, "id": "another"}')
        else:
            mark.unlink()

    ours: list[bytes] = []
    station = short(tmp_path, at("told", "15.mp4", swap))
    clips = stored(station, 16)
    station.run()
    assert station.states() == {"uploading"}
    mark.write_bytes(ours[0])
    station.clock.now += HOUR
    station.run()
    whole(station, clips)
    station.close()


@pytest.mark.parametrize("step", ["lay", "laid", "told"])
@pytest.mark.parametrize("name", ["0.mp4", "6.mp4", "15.mp4"])
def test_an_agent_that_dies_between_two_clips_goes_on_and_doubles_nothing(
    tmp_path: Path, step: str, name: str
) -> None:
    dies(tmp_path, at(step, name, fail(Killed())))


@pytest.mark.parametrize("commit", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_agent_that_dies_round_any_commit_goes_on_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: int, when: str
) -> None:
    each, commits = Generation.each, 0

    def dying(self: Generation, works: Sequence[Any]) -> Any:
        nonlocal commits
        commits += 1
        if commits == commit and when == "before":
            raise Killed
        said = each(self, works)
        if commits == commit:
            raise Killed
        return said

    monkeypatch.setattr(Generation, "each", dying)
    dies(tmp_path, lambda step, clip: None)


def dies(root: Path, before: Callable[[str, StoredClip], None]) -> None:
    station = short(root, before)
    clips = stored(station, 16)
    with pytest.raises(Killed):
        station.run()
    before_it = centre(station)
    station.catalog.close()
    after = short(root)
    after.run()
    sent = before_it.laid + before_it.alone + centre(after).laid + centre(after).alone
    assert sorted(sent) == clips, "something was sent twice, or not at all"
    whole(after, clips)
    after.close()


def test_a_stop_in_the_middle_leaves_the_rest_for_the_next_start(tmp_path: Path) -> None:
    reached, go_further = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_further.wait(60)

    station = short(tmp_path, at("laid", "6.mp4", wait))
    clips = stored(station, 16)
    with running(station.uploads):
        assert reached.wait(60)
        stop = threading.Thread(target=station.uploads.stop, args=(60.0,))
        stop.start()
        eventually(lambda: station.uploads._stopping)
        go_further.set()
        stop.join(60)
    assert centre(station).laid == clips[:7]
    station.uploads = station.make_uploads()
    station.run()
    assert sorted(centre(station).laid + centre(station).alone) == clips
    whole(station, clips)
    station.close()


@pytest.mark.parametrize("how", ["asked for", "important"])
def test_a_handful_gives_way_to_a_clip_that_goes_before_it(tmp_path: Path, how: str) -> None:
    late: list[int] = []

    def come() -> None:
        late.append(station.store("late.mp4", content(77), important=how == "important"))
        if how == "asked for":
            station.catalog.write(lambda tx: priority.first(tx, late[0], "dispatcher"))
            station.uploads.hurry(late[0])

    station = short(tmp_path, at("laid", "4.mp4", come))
    clips = stored(station, 16)
    order: list[int] = []
    while station.uploads.step():
        order += [c for c in centre(station).laid + centre(station).alone if c not in order]
    assert order == clips[:5] + late + clips[5:]
    whole(station, clips + late)
    station.close()


def test_at_the_end_of_the_hours_the_rest_of_a_handful_waits(tmp_path: Path) -> None:
    def later() -> None:
        station.clock.epoch += 12 * HOUR

    station = short(tmp_path, at("laid", "4.mp4", later))
    clips = stored(station, 16)
    station.limits.set(UploadConfig(hours=hours_from(station.clock.wall())))
    station.run()
    assert centre(station).laid + centre(station).alone == clips[:5]
    assert [station.state(clip) for clip in clips[:5]] == ["confirmed"] * 5
    station.clock.epoch += 12 * HOUR
    station.run()
    whole(station, clips)
    station.close()


def test_a_clip_that_is_to_be_read_back_is_verified_alone(tmp_path: Path) -> None:
    read: list[int] = []

    def before(step: str, clip: StoredClip) -> None:
        if step == "verify":
            read.append(clip.id)

    station = short(tmp_path, before)
    station.uploads = station.make_uploads(read_back=1.0)
    clips = stored(station, 16)
    station.run()
    assert centre(station).laid == read == clips
    whole(station, clips)
    station.close()


def test_a_target_that_was_down_is_tried_by_one_clip(tmp_path: Path) -> None:
    down = True
    tried: list[int] = []

    def before(step: str, clip: StoredClip) -> None:
        if step in ("lay", "send"):
            tried.append(clip.id)
            if down:
                raise Transient(error="EIO")

    station = short(tmp_path, before)
    clips = stored(station, 40)
    station.run()
    tried.clear()
    station.clock.now += HOUR
    station.run()
    assert len(tried) == 1
    down = False
    station.clock.now += HOUR
    station.run()
    whole(station, clips)
    station.close()
