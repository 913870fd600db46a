"""An evidence package says what it holds, and whoever alters it is found out by the file that lies in it."""

import ast
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import door
from agent.cli.export import both
from agent.custody.evidence import export, exported
from agent.custody.evidence.export import Asked
from agent.custody.evidence.packing import packing
from agent.custody.evidence.report import Facts, html
from agent.custody.log import signer
from agent.custody.log.keeper import Keeper
from agent.custody.log.leaf import Event
from agent.custody.log.reading import Log
from agent.custody.package import MANIFEST, MOVES, TAGS, contents, decoded, encoded, listed, manifest
from agent.custody.rebuild import rebuild_store
from agent.custody.texts import Texts
from agent.custody.verifier import Invalid
from agent.errors import NotEqual, Reject, Stop
from agent.model import TRANSITIONS, ClipState
from tests.custody_house import STATION
from tests.dockside import Dockside, rot
from tests.exporting import ASKED, NAME, WHO, Exporting, run, wrong


def test_a_package_is_whole_and_its_own_verifier_says_so_alone(station: Exporting) -> None:
    bag = station.export()
    assert wrong(bag, station.vkey) == []
    rows = [row for row in station.side.rows() if row["officer"] == "000001"]
    assert len(rows) == 3
    for row in rows:
        assert (bag / "data/clips" / row["key"]).read_bytes() == station.side.store.path(
            row["key"]
        ).read_bytes()
        events = station.side.catalog.read().execute("SELECT seq FROM events WHERE clip = ?", (row["id"],))
        assert all((bag / f"data/log/{event[0]}.proof").is_file() for event in events.fetchall())
    done = run(bag, "--key", station.vkey)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "the key is the one that was given",
        "nothing before docking is proven",
        "王伟",
        "结论：成立",
    ):
        assert said in done.stdout
    done = run(bag)
    assert done.returncode == 0
    assert "consistent, origin not established" in done.stdout
    assert not list(station.root.glob(".bag.*"))


def test_the_export_is_an_entry_and_what_people_wrote_is_not_in_it(station: Exporting) -> None:
    bag = station.export()
    (body,) = [
        json.loads(row[0])
        for row in station.side.catalog.read().execute("SELECT body FROM events WHERE kind = 'exported'")
    ]
    told = json.loads((bag / "data/export.json").read_bytes())
    assert body["clips"] == [one["clip"] for one in told["clips"]]
    assert (body["case"], body["who"]) == (ASKED.case, "uid 7")
    assert ASKED.name not in json.dumps(body, ensure_ascii=False)
    texts = Texts(station.store)
    assert [texts.read(body[name]) for name in ("name", "reason")] == [ASKED.name, ASKED.reason]


def test_another_key_than_the_one_that_is_known_is_no_origin(station: Exporting, tmp_path: Path) -> None:
    bag = station.export()
    other = signer.make(tmp_path, f"station/{STATION}", "x").key.vkey
    assert len(wrong(bag, other)) == 1
    done = run(bag, "--key", other)
    assert done.returncode == 1
    assert "not the one that was given" in done.stdout
    for arguments in (["--key"], ["--what", "x"], ["--key", "a", "b"]):
        assert run(bag, *arguments).returncode == 2


def test_the_manifests_are_read_by_a_program_that_is_not_ours(pair: tuple[Path, Path, str]) -> None:
    for name in (MANIFEST, TAGS):
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", name], cwd=pair[0], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
    oxum = f"{sum(size for _, size in payload(pair[0]))}.{len(payload(pair[0]))}"
    assert f"Payload-Oxum: {oxum}\n" in (pair[0] / "bag-info.txt").read_text()


def payload(bag: Path) -> list[tuple[str, int]]:
    return [(str(path), path.stat().st_size) for path in (bag / "data").rglob("*") if path.is_file()]


def test_the_verifier_knows_the_moves_that_the_station_makes() -> None:
    assert {state: set(moves) for state, moves in MOVES.items() if state} == {
        str(state): set(map(str, moves)) for state, moves in TRANSITIONS.items()
    }


def test_the_verifier_is_three_files_in_one_and_none_hides_a_name_of_another() -> None:
    source = export.verifier_file().decode()
    assert "from agent" not in source
    names = [
        node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ] + [
        target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    assert len(names) == len(set(names)) > 60


# What is exported, and what not


def test_only_what_was_asked_for_is_in_it(station: Exporting) -> None:
    ids = {row["path"]: row["id"] for row in station.side.rows()}
    for asked, expected in (
        (Asked("a", "b", clips=(ids[NAME.format(2)],)), {2}),
        (Asked("a", "b", officer="000001", since="2026-01-01T12:02:00"), {2, 3}),
        (Asked("a", "b", officer="000001", until="2026-01-01T12:02:00"), {1, 2}),
        (Asked("a", "b", since="2026-01-01T12:03:00", until="2026-01-01T12:30:00"), {3}),
    ):
        assert {one.id for one in station.plan(asked).clips} == {ids[NAME.format(n)] for n in expected}
    for asked, key in (
        (Asked("a", "b", clips=(999_999,)), "no-such-clip"),
        (Asked("a", "b", officer="nobody"), "export-nothing"),
    ):
        with pytest.raises(Reject, match=key):
            station.plan(asked)


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
@pytest.mark.parametrize("harm", [Path.unlink, rot, lambda path: path.write_bytes(b"x" * 9000)])
def test_a_clip_that_cannot_be_had_is_told_with_the_reason_and_the_others_go(
    station: Exporting, name: str, harm: Callable[[Path], object]
) -> None:
    first, *others = (row for row in station.side.rows() if row["officer"] == "000001")
    harm(station.side.store.path(first["key"]))
    bag = station.gathered(name=name)
    told = told_by(bag)
    [left] = told["not_here"]
    assert left["clip"] == first["id"]
    assert [why["key"] for why in left["reasons"]] == ["export-damaged-here", "export-no-target"]
    assert all(why["zh"] and why["en"] for why in left["reasons"])
    assert [one["clip"] for one in told["clips"]] == [one["id"] for one in others]
    assert wrong(bag, station.vkey) == []


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
@pytest.mark.parametrize("harm", [Path.unlink, rot])
def test_a_clip_that_is_not_here_is_fetched_and_is_what_was_stored(
    station: Exporting, name: str, harm: Callable[[Path], object]
) -> None:
    row = station.side.rows()[1]
    path = station.side.store.path(row["key"])
    data = path.read_bytes()
    harm(path)
    path.with_name(f"{path.name}.json").unlink()  # of one that was released there is none

    def fetch(clip: int, put: Callable[[Iterator[bytes]], None]) -> str:
        assert clip == row["id"]
        for lie in (data[:-1], data + b"x", bytes(len(data)), b""):
            with pytest.raises(NotEqual):
                put(iter([lie[:100], lie[100:]]))
        put(iter([data[:100], data[100:]]))
        return "centre"

    bag = station.gathered(fetch, name)
    assert wrong(bag, station.vkey) == []
    assert {one["clip"]: one["fetched_from"] for one in told_by(bag)["clips"]}[row["id"]] == "centre"
    assert read(bag, f"data/clips/{row['key']}") == data
    assert "fetched back for this package" in read(bag, "data/report.html").decode()


def test_a_clip_that_was_never_stored_is_not_looked_for(station: Exporting) -> None:
    row = station.side.rows()[1]
    stored, bad = ClipState.STORED, ClipState.QUARANTINED
    station.side.catalog.write(lambda tx: door.change(tx, row["id"], stored, bad))
    station.gathered()
    assert [one.key for one in station.found.missing[row["id"]]] == ["export-never-here"]


def read(bag: Path, path: str) -> bytes:
    if bag.is_dir():
        return (bag / path).read_bytes()
    with zipfile.ZipFile(bag) as archive:
        return archive.read(path)


def told_by(bag: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(bag, "data/export.json"))
    return found


def test_what_a_rebuilt_catalog_knows_can_be_exported(station: Exporting) -> None:
    station.side.close()
    rebuild_store(station.store, STATION)
    station.side = Dockside(station.root / "station")
    station.commands = exported.commands(station.side.catalog, Texts(station.store))
    keeper = Keeper(station.side.catalog, station.store / "custody", STATION)
    while keeper.step():
        pass
    plan = station.plan_of(Log(station.store / "custody" / "1"))
    answer, bag = station.order(plan), station.root / "bag"
    while keeper.step():
        pass
    with packing(bag) as pack:
        export.write(plan, ASKED, lambda: Log(station.store / "custody" / "1"), station.store, pack, answer)
    assert wrong(bag, station.vkey) == []


def test_a_finding_is_told_in_words_with_its_explanation() -> None:
    facts = {"numbers": [[4, 5]], "count": 2, "after": {"recorded_at": "A"}, "before": None}
    finding = {"finding": 1, "recorder": "8", "rule": "sequence-gap", "facts": facts, "state": "explained",
               "explanation": "值班记录 12"}  # fmt: skip
    made = html(Facts("o", "", "n", "r", [], [], {}, [finding], []), both)
    for said in ("no recording has the numbers 4–5", "between those of A and ?", "值班记录 12", "explained"):
        assert said in made


def test_a_copy_that_is_not_what_the_catalog_says_is_named_and_nothing_is_left(station: Exporting) -> None:
    row = station.side.rows()[1]
    rot(station.side.store.path(row["key"]))
    with pytest.raises(Stop, match="export-differs") as raised:
        station.export()
    assert raised.value.params["clip"] == row["id"]
    assert [path.name for path in station.root.iterdir() if "bag" in path.name] == []


def test_nothing_that_is_there_is_written_over(station: Exporting) -> None:
    (station.root / "bag").mkdir()
    (station.root / "bag" / "mine").write_text("x")
    with pytest.raises(FileExistsError):
        station.export()
    assert [path.name for path in (station.root / "bag").iterdir()] == ["mine"]
    assert not list(station.root.glob(".bag.*"))


@pytest.mark.parametrize(
    "other",
    [
        {"clips": ""}, {"clips": "3,2"}, {"clips": "1;2"}, {"clips": "0"}, {"person": " "}, {"reason": ""},
        {"reason": "x" * 501}, {"case": "x" * 65}, {"case": "a\nb"}, {"clips": "999999"},
    ],
)  # fmt: skip
def test_an_ask_that_is_none_is_refused_and_leaves_nothing(station: Exporting, other: dict[str, str]) -> None:
    clips = [row["id"] for row in station.side.rows()]
    with pytest.raises(Reject):
        station.ask(clips, ASKED, WHO, **other)
    assert not (station.store / "custody" / "texts").exists()
    assert count(station, "export-asked") == 0


@pytest.mark.parametrize(
    "other",
    [
        {"clips": ""}, {"clips": "1;2"}, {"clips": "999999"}, {"contents": "00"}, {"contents": ""},
        {"asked": "1"}, {"asked": "999999"}, {"asked": "x"}, {"asked": ""}, {"asked": "-1"},
    ],
)  # fmt: skip
def test_an_order_that_is_none_is_refused(station: Exporting, other: dict[str, str]) -> None:
    plan = station.plan()
    with pytest.raises(Reject):
        station.order(plan, **other)
    assert count(station, "exported") == 0


def count(station: Exporting, kind: str) -> int:
    row = (
        station.side.catalog.read().execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()
    )
    return int(row[0])


# Hostile names


def test_a_name_in_a_package_is_never_taken_twice_and_never_leads_out() -> None:
    files = dict[str, export.File]()
    export._add(files, "data/clips/a", export.File(b"", "", 7))
    for path, key in (("data/clips/a", "export-name-taken"), ("data/clips/../a", "export-name-odd")):
        with pytest.raises(Stop, match=key) as raised:
            export._add(files, path, export.File(b"", "", 8))
        assert raised.value.params["clip"] == 8
    assert list(files) == ["data/clips/a"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_back_out_of_a_manifest(name: str) -> None:
    path = f"data/{name}"
    if any(part in ("", ".", "..") for part in name.split("/")):
        with pytest.raises(Invalid):
            decoded(encoded(path))
        return
    assert listed(manifest({path: "0" * 64})) == {path: "0" * 64}


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "data/../../x", "data//x", "./x", "data/x\0", "data/%0D/.."]
)
def test_a_path_that_leads_out_of_the_package_is_never_followed(
    pair: tuple[Path, Path, str], tmp_path: Path, path: str
) -> None:
    mine = shutil.copytree(pair[0], tmp_path / "bag")
    with (mine / MANIFEST).open("a", newline="") as file:
        file.write(f"{'0' * 64}  {path}\n")
    assert any("is none of a package" in said for said in wrong(mine))


def test_a_name_with_line_ends_and_colours_writes_no_line_of_the_verdict(
    pair: tuple[Path, Path, str], tmp_path: Path
) -> None:
    mine = shutil.copytree(pair[0], tmp_path / "bag")
    (mine / "data" / "a\n[holds]\x1b[31m").write_text("x")
    (mine / "data" / "b\udcff").write_text("x")
    done = run(mine)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\n[holds]" not in done.stdout


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag + "".join(f" {name}={value}" for name, value in attrs))


HOSTILE = st.text() | st.sampled_from(
    ["</code><script>alert(1)</script>", '"><img src=x onerror=x>', "\u202egpj"]
)


@given(HOSTILE, HOSTILE)
def test_nothing_that_a_recorder_wrote_is_html_in_the_report(one: str, other: str) -> None:
    def tags(a: str, b: str) -> list[str]:
        row = {"id": 1, "key": a, "sha256": b, "size": 1, "recorder": a, "officer": b, "recorded_at": a,
               "state": ClipState.STORED, "fetched_from": a,
               "reasons": [{"zh": a, "en": b}]}  # fmt: skip
        finding = {"finding": 1, "recorder": a, "rule": b, "facts": {a: b}, "state": "open", "explanation": b}
        clock = {"recorder": a, "docked": 0.0, "ahead_seconds": [1.0, None],
                 "drift_seconds_a_day": [None, 1.0], "wrong": True}  # fmt: skip
        story = {1: [Event(1, 1, a, json.dumps({a: b}), 0.0, b, 1)]}
        made = html(Facts(a, b, a, b, [row], [row], story, [finding], [clock]), both)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\0-\x08\x0b-\x1f]", made)
        parser = Tags()
        parser.feed(made)
        return parser.seen

    assert tags(one, other) == tags("a", "b")


def test_contents_tell_apart_whatever_differs() -> None:
    made = {
        contents({"data/a": "0" * 64}, {}), contents({"data/a": "1" * 64}, {}),
        contents({"data/b": "0" * 64}, {}),
        contents({}, {}), contents({}, {1: b"x"}), contents({}, {2: b"x"}), contents({}, {1: b"y"}),
        contents({"data/a\n": "0" * 64}, {}),
    }  # fmt: skip
    assert len(made) == 8
