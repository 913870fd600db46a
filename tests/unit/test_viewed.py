"""A view is an entry before it is one: who looks at a clip, and why, is committed first."""

import json
import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import door, rot, whole
from agent.catalog.door import note
from agent.custody.evidence import viewed
from agent.custody.evidence.handout import hand_out
from agent.custody.texts import Texts
from agent.errors import Reject, Stop
from agent.model import ClipState as S
from agent.model import Problem, printable
from tests.exporting import Exporting


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Exporting]:
    made = Exporting(tmp_path)
    yield made
    made.side.close()


def look(station: Exporting, number: int, **other: str) -> Mapping[str, Any]:
    command = viewed.commands(station.side.catalog, station.store, Texts(station.store))["view"]
    return command({"clip": str(number), "person": "王伟", "reason": "复核", **other}, "uid 7")


def views(station: Exporting) -> list[dict[str, Any]]:
    rows = station.side.catalog.read().execute("SELECT body FROM events WHERE kind = 'viewed' ORDER BY seq")
    return [json.loads(row[0]) for row in rows]


def clips(station: Exporting) -> list[int]:
    return [row[0] for row in station.side.catalog.read().execute("SELECT id FROM clips ORDER BY id")]


def test_a_story_has_every_event_in_order_and_the_view_itself(station: Exporting) -> None:
    clip = clips(station)[0]
    told = look(station, clip)
    assert [one["kind"] for one in told["events"]] == ["seen", "copying", "stored", "viewed"]
    assert [one["seq"] for one in told["events"]] == sorted(one["seq"] for one in told["events"])
    assert told["events"][-1]["seq"] == told["event"]
    assert told["events"][-1]["texts"] == {"name": "王伟", "reason": "复核"}
    assert told["log"]["size"] == told["event"] - 1  # its own entry is signed in a second
    assert station.log().head.size == told["event"]
    assert [file["bytes"] for file in told["files"]] == [
        (station.store / "clips" / told["clip"]["key"]).stat().st_size,
        (station.store / "clips" / f"{told['clip']['key']}.json").stat().st_size,
    ]
    assert told["docking"]["slot"]
    assert told["digests"]["parts"] == 1


def test_names_and_reasons_are_beside_the_log_and_can_be_erased(station: Exporting) -> None:
    clip = clips(station)[0]
    look(station, clip)
    (entry,) = views(station)
    assert set(entry) == {"clip", "what", "name", "reason", "who"}
    assert (entry["clip"], entry["what"], entry["who"]) == (clip, "story", "uid 7")
    assert "王伟" not in json.dumps(entry, ensure_ascii=False)
    (station.store / "custody" / "texts" / f"{entry['name']}.json").unlink()
    told = look(station, clip)
    assert told["events"][-2]["texts"] == {"name": None, "reason": "复核"}


def test_an_export_and_a_draw_are_in_the_story_of_each_clip_that_they_name(station: Exporting) -> None:
    first, second, third, other = clips(station)
    station.export()
    station.side.catalog.write(
        lambda tx: note(tx, "sample-drawn", None, {"clips": [second, other], "size": 4, "who": "uid 7"})
    )
    kinds = {clip: [one["kind"] for one in look(station, clip)["events"][3:-1]] for clip in clips(station)}
    both = ["exported", "sample-drawn"]
    assert kinds == {first: both[:1], second: both, third: both[:1], other: both[1:]}


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"person": " "}, "bad-parameter"),
        ({"person": "x" * 501}, "bad-parameter"),
        ({"reason": "x" * 501}, "bad-parameter"),
        ({"what": "list"}, "bad-parameter"),
        ({"clip": "99999"}, "no-such-clip"),
        ({"clip": "-1"}, "no-such-clip"),
        ({"clip": ""}, "no-such-clip"),
        ({"clip": "99999", "what": "recording"}, "no-such-clip"),
    ],
)
def test_who_is_nobody_or_asks_for_nothing_sees_nothing(
    station: Exporting, arguments: dict[str, str], key: str
) -> None:
    with pytest.raises(Reject) as refused:
        look(station, clips(station)[0], **arguments)
    assert refused.value.key == key
    assert views(station) == []


def test_a_text_that_cannot_be_kept_lets_nobody_see_anything(station: Exporting) -> None:
    (station.store / "custody" / "texts").write_bytes(b"in the way")
    with pytest.raises(Reject) as refused:
        look(station, clips(station)[0])
    assert refused.value.key == "text-not-kept"
    assert views(station) == []


def test_a_recording_that_is_not_here_is_not_opened(station: Exporting) -> None:
    clip = clips(station)[0]
    opened = look(station, clip, what="recording")
    (station.store / "clips" / opened["key"]).unlink()
    with pytest.raises(Reject) as refused:
        look(station, clip, what="recording")
    assert refused.value.key == "clip-not-here"
    assert len(views(station)) == 1
    assert next(file["bytes"] for file in look(station, clip)["files"]) is None


def test_a_copy_that_is_not_what_was_stored_is_not_shown_as_the_recording(station: Exporting) -> None:
    clip = clips(station)[0]

    def rots(tx: Any) -> None:
        for old, new in pairwise((S.STORED, S.UPLOADING, S.UPLOADED, S.CONFIRMED)):
            door.change(tx, clip, old, new, target="centre")
        assert rot.found(tx, clip, Problem("store-digest", {})) is S.CONFIRMED

    station.side.catalog.write(rots)
    with pytest.raises(Reject) as refused:
        look(station, clip, what="recording")
    assert (refused.value.key, refused.value.params["state"]) == ("clip-not-here", "rotten")
    assert views(station) == []
    assert look(station, clip)["events"][-2]["kind"] == "rotten"  # its story tells


def test_a_finding_is_in_the_story_of_the_clips_that_it_speaks_of(station: Exporting) -> None:
    first, second, third, other = clips(station)
    facts = {"after": {"clip": first, "recorded_at": None}, "before": {"clip": third, "recorded_at": None}}
    recorder = whole.story(station.side.catalog.read(), first)["clip"]["recorder"]
    elsewhere = whole.story(station.side.catalog.read(), other)["clip"]["docking"]

    def work(tx: Any) -> None:
        number = note(tx, "finding", None, facts)
        tx.execute(
            "INSERT INTO findings (id, rule, recorder, docking, facts, found_at, state, event)"
            " VALUES (?, 'sequence-gap', ?, ?, ?, 0, 'open', ?)",
            (number, recorder, elsewhere, json.dumps(facts), number),
        )

    station.side.catalog.write(work)
    assert {clip: len(look(station, clip)["findings"]) for clip in (first, second, third, other)} == {
        first: 1, second: 0, third: 1, other: 0
    }  # fmt: skip


def test_a_recording_is_copied_out_to_the_byte_and_never_over_a_file(
    station: Exporting, tmp_path: Path
) -> None:
    clip = clips(station)[0]
    opened = look(station, clip, what="recording")
    source, to = station.store / "clips" / opened["key"], tmp_path / "copy.mp4"
    hand_out(clip, source, opened["sha256"], to)
    assert to.read_bytes() == source.read_bytes()
    assert to.stat().st_mode & 0o077 == 0
    to.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        hand_out(clip, source, opened["sha256"], to)
    assert to.read_bytes() == b"somebody else's"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("how", ["bit", "short", "long", "link", "pipe"])
def test_a_recording_that_is_another_is_not_handed_out(station: Exporting, tmp_path: Path, how: str) -> None:
    clip = clips(station)[0]
    opened = look(station, clip, what="recording")
    source, to = station.store / "clips" / opened["key"], tmp_path / "copy.mp4"
    data = bytearray(source.read_bytes())
    source.unlink()
    match how:
        case "bit":
            data[len(data) // 2] ^= 1
            source.write_bytes(data)
        case "short":
            source.write_bytes(data[:-1])
        case "long":
            source.write_bytes(data + b"x")
        case "link":
            (tmp_path / "elsewhere").write_bytes(data)
            source.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            os.mkfifo(source)
    with pytest.raises(Stop if how in ("bit", "short", "long") else OSError):
        hand_out(clip, source, opened["sha256"], to)
    assert not to.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_story_of_thousands_of_events_is_bounded(
    station: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips(station)[0]
    monkeypatch.setattr(whole, "MOST", 2)
    assert [one["kind"] for one in look(station, clip)["events"]] == ["stored", "viewed"]


def test_a_view_passes_by_an_evidence_package(station: Exporting) -> None:
    look(station, clips(station)[0])
    bag = station.export()
    assert printable(str(bag))
    told = json.loads((bag / "data" / "export.json").read_bytes())
    assert [one["clip"] for one in told["clips"]] == clips(station)[:3]
