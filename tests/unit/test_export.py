"""An evidence package says what it holds, and whoever alters it is found out by the file that lies in it."""

import ast
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import beside
from agent.catalog.rebuild import rebuild_store
from agent.cli.export import both
from agent.custody import export, exported, package, signer, verifier
from agent.custody.export import Asked
from agent.custody.keeper import Keeper
from agent.custody.leaf import Event
from agent.custody.package import MANIFEST, MOVES, TAGS, contents, decoded, encoded, listed, manifest
from agent.custody.reading import Log
from agent.custody.report import Facts, html
from agent.custody.texts import Texts
from agent.custody.verifier import Invalid, Proof
from agent.errors import Reject, Stop
from agent.model import TRANSITIONS, ClipState
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder, rot

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
FILES = {NAME.format(number): 3000 + number for number in range(1, 4)}
ASKED = Asked("王伟", "一审 first instance", "(2026)01-17", officer="000001")


class Exporting:
    """A station with three clips of one recorder and one of another."""

    def __init__(self, root: Path) -> None:
        self.root, self.side = root, Dockside(root / "station")
        self.store = self.side.store.root
        self.side.dock(recorder(root / "rec", FILES))
        self.side.dock(recorder(root / "other", {"DCIM/7777777_000002_20260101130000_0001.mp4": 900}))
        self.command = exported.commands(self.side.catalog, Texts(self.store))["export"]
        self.log()

    def log(self) -> Log:
        keeper = Keeper(self.side.catalog, self.store / "custody", STATION)
        while keeper.step():
            pass
        return Log(self.store / "custody" / "1")

    def plan(self, asked: Asked = ASKED) -> export.Plan:
        return self.plan_of(self.log(), asked)

    def plan_of(self, log: Log, asked: Asked = ASKED) -> export.Plan:
        with beside.reading(self.store) as db:
            return export.plan(db, self.store, log.origin, asked, both)

    def order(self, plan: export.Plan, asked: Asked = ASKED, **other: str) -> Mapping[str, Any]:
        clips = ",".join(str(one.id) for one in plan.clips)
        said = {"clips": clips, "person": asked.name, "reason": asked.reason, "case": asked.case}
        return self.command({**said, "contents": plan.contents, **other}, "uid 7")

    def export(self, name: str = "bag", asked: Asked = ASKED) -> Path:
        plan, to = self.plan(asked), self.root / name
        export.write(plan, asked, self.log, self.store, to, self.order(plan, asked))
        return to

    @property
    def vkey(self) -> str:
        return (self.store / "custody" / "key.pub").read_text().strip()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Exporting]:
    made = Exporting(tmp_path)
    yield made
    made.side.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str]]:
    """Two packages of two stations, and the key of the first."""
    first, second = (Exporting(tmp_path_factory.mktemp(name)) for name in ("first", "second"))
    yield first.export(), second.export(), first.vkey
    first.side.close()
    second.side.close()


def wrong(bag: Path, key: str | None = None) -> list[str]:
    return [said.en for said in package.check(str(bag), key) if not said.holds]


def run(bag: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With nothing but Python itself."""
    command = [sys.executable, "-I", "-S", str(bag / "data" / "verify.py"), str(bag), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", cwd="/", timeout=60, check=False)


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


# Tampering


def remade(bag: Path) -> None:
    """What somebody does who alters a package and knows BagIt: both manifests fit again."""
    (bag / MANIFEST).unlink()
    found = {path: package.digest_of(f"{bag}/{path}")[0] for path, _ in package.walk(str(bag))}
    (bag / MANIFEST).write_bytes(manifest({path: found[path] for path in found if path.startswith("data/")}))
    tags = ("bagit.txt", "bag-info.txt", MANIFEST)
    (bag / TAGS).write_bytes(manifest({tag: package.digest_of(f"{bag}/{tag}")[0] for tag in tags}))


def flip(path: Path, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)


def clip(bag: Path, number: int = 0) -> Path:
    return sorted(path for path in (bag / "data/clips").rglob("*.mp4"))[number]


def side(bag: Path, number: int = 0) -> Path:
    return clip(bag, number).with_name(clip(bag, number).name + ".json")


def proofs(bag: Path) -> list[Path]:
    return sorted((bag / "data/log").glob("*.proof"), key=lambda path: int(path.stem))


def text(bag: Path) -> Path:
    return next((bag / "data/texts").iterdir())


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def digit(path: Path) -> None:
    said = path.read_text("utf-8")
    path.write_text(("0" if said[0] != "0" else "1") + said[1:], "utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder


def linked(path: Path) -> None:
    """The same, kept outside of the package."""
    path.symlink_to(path.rename(next(one for one in path.parents if one.name == "bag").with_name("outside")))


def added(bag: Path, path: str) -> None:
    (bag / path).write_bytes(b"more")


def edit(path: Path, old: str, new: str) -> None:
    said = path.read_text("utf-8")
    assert old in said
    path.write_text(said.replace(old, new), "utf-8")


def retold(bag: Path) -> None:
    """An entry with another body under its old hashes."""
    proof = Proof.parse(proofs(bag)[1].read_bytes())
    extra = proof.extra.replace(b'"seen"', b'"seem"')
    proofs(bag)[1].write_bytes(dataclasses.replace(proof, extra=extra).data)


def resigned(bag: Path) -> None:
    """The head of the same log under a key of one's own."""
    note = verifier.Note.parse((bag / "data/log/head").read_bytes())
    mine = signer.Signer(bytes(range(32)), f"station/{STATION}")
    forged = mine.sign(note.text)
    (bag / "data/log/head").write_bytes(forged.data)
    (bag / "data/log/key.pub").write_text(f"{mine.key.vkey}\n")
    for path in proofs(bag):
        path.write_bytes(dataclasses.replace(Proof.parse(path.read_bytes()), note=forged).data)


Alter = Callable[[Path, Path], object]
#: What is done to a package (and another station's) → what of it the verifier names.
TAMPERED: dict[str, tuple[Alter, str]] = {
    "file added": (lambda bag, _: added(bag, "data/clips/more.mp4"), "added: data/clips/more.mp4"),
    "tag file added": (lambda bag, _: added(bag, "notes.txt"), "added: notes.txt"),
    "clip removed": (lambda bag, _: clip(bag).unlink(), "removed: data/clips/8888888/"),
    "proof removed": (lambda bag, _: proofs(bag)[0].unlink(), "removed: data/log/"),
    "report removed": (lambda bag, _: (bag / "data/report.html").unlink(), "removed: data/report.html"),
    "clip renamed": (lambda bag, _: clip(bag).rename(clip(bag).with_name("x.mp4")), "renamed: data/clips/"),
    "clip flipped": (lambda bag, _: flip(clip(bag)), "changed: data/clips/"),
    "sidecar flipped": (lambda bag, _: flip(side(bag)), "changed: data/clips/"),
    "proof flipped": (lambda bag, _: flip(proofs(bag)[2]), "changed: data/log/"),
    "head flipped": (lambda bag, _: flip(bag / "data/log/head"), "changed: data/log/head"),
    "key flipped": (lambda bag, _: flip(bag / "data/log/key.pub"), "changed: data/log/key.pub"),
    "findings flipped": (lambda bag, _: flip(bag / "data/findings.json"), "changed: data/findings.json"),
    "clock flipped": (lambda bag, _: flip(bag / "data/clock.json"), "changed: data/clock.json"),
    "export flipped": (lambda bag, _: flip(bag / "data/export.json"), "changed: data/export.json"),
    "report flipped": (lambda bag, _: flip(bag / "data/report.html"), "changed: data/report.html"),
    "verifier flipped": (lambda bag, _: flip(bag / "data/verify.py"), "changed: data/verify.py"),
    "text flipped": (lambda bag, _: flip(text(bag)), "changed: data/texts/"),
    "bagit.txt flipped": (lambda bag, _: flip(bag / "bagit.txt"), "bagit.txt is not that of this format"),
    "bag-info flipped": (lambda bag, _: flip(bag / "bag-info.txt"), "changed: bag-info.txt"),
    "manifest flipped": (lambda bag, _: flip(bag / MANIFEST, 0.001), "manifest-sha256.txt"),
    "digit of the manifest": (lambda bag, _: digit(bag / MANIFEST), "changed: manifest-sha256.txt"),
    "digit of the tag manifest": (lambda bag, _: digit(bag / TAGS), "changed: bag-info.txt"),
    "manifest cut": (lambda bag, _: cut(bag / MANIFEST), "the manifest is cut off"),
    "manifest removed": (lambda bag, _: (bag / MANIFEST).unlink(), "manifest-sha256.txt is not there"),
    "clip cut": (lambda bag, _: cut(clip(bag)), "changed: data/clips/"),
    "clip made a link": (lambda bag, _: linked(clip(bag)), "no regular file: data/clips/"),
    "folder made a link": (lambda bag, _: linked(bag / "data/texts"), "no regular file: data/texts"),
}  # fmt: skip
#: The same by somebody who makes the manifests anew.
REMADE: dict[str, tuple[Alter, str]] = {
    "file added": (lambda bag, _: added(bag, "data/clips/more.mp4"), "something else"),
    "other file added": (lambda bag, _: added(bag, "data/more.txt"), "something else"),
    "file added to the log": (lambda bag, _: added(bag, "data/log/more.txt"), "does not belong here"),
    "text added": (lambda bag, _: added(bag, "data/texts/x.json"), "does not belong here"),
    "clip removed": (lambda bag, _: emptied(clip(bag).parent), "something else"),
    "clip renamed": (lambda bag, _: clip(bag).rename(clip(bag).with_name("x.mp4")), "something else"),
    "clip flipped": (lambda bag, _: flip(clip(bag)), "something else"),
    "clip cut": (lambda bag, _: cut(clip(bag)), "something else"),
    "clips swapped": (lambda bag, _: swap(clip(bag), clip(bag, 1)), "something else"),
    "sidecars swapped": (lambda bag, _: swap(side(bag), side(bag, 1)), "something else"),
    "sidecar edited": (lambda bag, _: edit(side(bag), "000001", "000009"), "something else"),
    "report edited": (lambda bag, _: edit(bag / "data/report.html", "000001", "000009"), "something else"),
    "finding added": (lambda bag, _: edit(bag / "data/findings.json", "[]", '["x"]'), "something else"),
    "clock edited": (lambda bag, _: edit(bag / "data/clock.json", "]", ',"x"]'), "something else"),
    "state edited": (lambda bag, _: edit(bag / "data/export.json", "stored", "released"), "something else"),
    "verifier edited": (lambda bag, _: edit(bag / "data/verify.py", "wrong +=", "0,"), "something else"),
    "reason edited": (lambda bag, _: edit(text(bag), '"text": "', '"text": "no '), "not the "),
    "text removed": (lambda bag, _: text(bag).unlink(), "data/texts/"),
    "proof removed": (lambda bag, _: proofs(bag)[1].unlink(), "something else"),
    "export's proof removed": (lambda bag, _: proofs(bag)[-1].unlink(), "0 entries tell of an export"),
    "proof cut": (lambda bag, _: cut(proofs(bag)[1]), f"{package.LOG}"),
    "proof of another station": (
        lambda bag, other: proofs(bag)[1].write_bytes(proofs(other)[1].read_bytes()), "under another head",
    ),
    "proof of another entry": (
        lambda bag, _: proofs(bag)[1].write_bytes(proofs(bag)[2].read_bytes()), "proves another entry",
    ),
    "entry edited": (lambda bag, _: retold(bag), "the proof leads to another root"),
    "key swapped": (
        lambda bag, other: shutil.copy(other / "data/log/key.pub", bag / "data/log/key.pub"),
        "none of the known keys has signed this",
    ),
    "head swapped": (
        lambda bag, other: shutil.copy(other / "data/log/head", bag / "data/log/head"),
        "none of the known keys has signed this",
    ),
    "log swapped": (
        lambda bag, other: shutil.copytree(other / "data/log", emptied(bag / "data/log")),
        "exported something else",
    ),
    "signed with another key": (lambda bag, _: resigned(bag), "not the one that was given"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_altered_in_a_package_is_named(
    pair: tuple[Path, Path, str], tmp_path: Path, what: str
) -> None:
    bag, other, key = pair
    alter, named = TAMPERED[what]
    mine = shutil.copytree(bag, tmp_path / "bag", symlinks=True)
    alter(mine, other)
    assert any(named in said for said in wrong(mine, key)), wrong(mine, key)


@pytest.mark.parametrize("what", REMADE)
def test_manifests_that_are_made_anew_hide_nothing(
    pair: tuple[Path, Path, str], tmp_path: Path, what: str
) -> None:
    bag, other, key = pair
    alter, named = REMADE[what]
    mine = shutil.copytree(bag, tmp_path / "bag")
    alter(mine, other)
    remade(mine)
    assert any(named in said for said in wrong(mine, key)), wrong(mine, key)


def test_no_bit_of_a_package_can_be_another(pair: tuple[Path, Path, str], tmp_path: Path) -> None:
    """Whatever comes of it, it is told, and never as an error of the verifier."""
    bag, _, key = pair
    mine = shutil.copytree(bag, tmp_path / "bag")
    for path in sorted(path for path in (mine / "data").rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for at in range(0, 8 * len(whole), max(1, len(whole) // 2) * 3):
            altered = bytearray(whole)
            altered[at // 8] ^= 1 << at % 8
            path.write_bytes(altered)
            remade(mine)
            assert wrong(mine, key), (path, at)
        path.write_bytes(whole)
    remade(mine)
    assert wrong(mine, key) == []


def test_without_the_key_a_forger_of_the_whole_log_is_never_told_as_the_origin(
    pair: tuple[Path, Path, str], tmp_path: Path
) -> None:
    mine = shutil.copytree(pair[0], tmp_path / "bag")
    resigned(mine)
    remade(mine)
    done = run(mine)
    assert (done.returncode, "origin not established" in done.stdout) == (0, True)
    assert "the key is the one" not in done.stdout


def test_a_story_with_a_gap_is_no_way(pair: tuple[Path, Path, str]) -> None:
    whole: list[dict[str, Any]] = [
        {"from": None, "to": "seen"},
        {"from": "seen", "to": "copying"},
        {"from": "copying", "to": "stored"},
    ]
    package._way(whole, "stored")
    broken: list[tuple[list[dict[str, Any]], str]] = [
        (whole, "confirmed"), (whole[1:], "stored"), (whole[:1] + whole[2:], "stored"), ([], "stored"),
        ([{"from": None, "to": "confirmed"}], "confirmed"), ([{"from": None, "to": ["seen"]}], "seen"),
    ]  # fmt: skip
    for bodies, end in broken:
        with pytest.raises(Invalid):
            package._way(bodies, end)


def test_the_verifier_knows_the_moves_that_the_station_makes() -> None:
    assert {state: set(moves) for state, moves in MOVES.items() if state} == {
        str(state): set(map(str, moves)) for state, moves in TRANSITIONS.items()
    }


def test_the_verifier_is_two_files_in_one_and_neither_hides_a_name_of_the_other() -> None:
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


def test_a_clip_that_is_not_here_is_told_and_the_others_go(station: Exporting) -> None:
    first, *others = (row for row in station.side.rows() if row["officer"] == "000001")
    station.side.store.path(first["key"]).unlink()
    bag = station.export()
    told = json.loads((bag / "data/export.json").read_bytes())
    assert [one["clip"] for one in told["not_here"]] == [first["id"]]
    assert [one["clip"] for one in told["clips"]] == [one["id"] for one in others]
    assert wrong(bag, station.vkey) == []


def test_what_a_rebuilt_catalog_knows_can_be_exported(station: Exporting) -> None:
    station.side.close()
    rebuild_store(station.store)
    station.side = Dockside(station.root / "station")
    station.command = exported.commands(station.side.catalog, Texts(station.store))["export"]
    keeper = Keeper(station.side.catalog, station.store / "custody", STATION)
    while keeper.step():
        pass
    plan = station.plan_of(Log(station.store / "custody" / "2"))
    answer = station.order(plan)
    while keeper.step():
        pass
    bag = station.root / "bag"
    export.write(plan, ASKED, lambda: Log(station.store / "custody" / "2"), station.store, bag, answer)
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
        {"reason": "x" * 501}, {"case": "x" * 65}, {"case": "a\nb"}, {"contents": "00"}, {"clips": "999999"},
    ],
)  # fmt: skip
def test_an_order_that_is_none_is_refused_and_leaves_nothing(
    station: Exporting, other: dict[str, str]
) -> None:
    with pytest.raises(Reject):
        station.order(station.plan(), ASKED, **other)
    assert not (station.store / "custody" / "texts").exists()
    db = station.side.catalog.read()
    assert db.execute("SELECT count(*) FROM events WHERE kind = 'exported'").fetchone()[0] == 0


# Hostile names


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
               "state": ClipState.STORED}  # fmt: skip
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
