"""Whoever alters an evidence package, in whatever way, is found out by the file that lies in it."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.custody import package, verifier
from agent.custody.evidence import export
from agent.custody.log import signer
from agent.custody.package import MANIFEST, TAGS
from agent.custody.verifier import Invalid, Proof
from agent.errors import Stop
from tests.custody_house import STATION
from tests.exporting import Exporting, remade, run, wrong


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


def having(plan: export.Plan, path: str, data: bytes) -> export.Plan:
    """A plan that has `data` at `path`, and says so."""
    file = export.File(data, hashlib.sha256(data).hexdigest())
    return dataclasses.replace(plan, files={**plan.files, path: file})


def disk(plan: export.Plan, ending: str, number: int = 0) -> tuple[str, bytes]:
    path = sorted(path for path in plan.files if path.startswith("data/clips/") and path.endswith(ending))[
        number
    ]
    source = plan.files[path].source
    assert isinstance(source, Path)
    return path, source.read_bytes()


def told(plan: export.Plan) -> bytes:
    source = plan.files[package.EXPORT].source
    assert isinstance(source, bytes)
    return source


def without(plan: export.Plan, kind: bytes) -> export.Plan:
    """One of its events is kept back."""
    seq = next(seq for seq, entry in plan.entries.items() if b'"kind":"' + kind in entry)
    return dataclasses.replace(plan, entries={one: plan.entries[one] for one in plan.entries if one != seq})


#: What a station signs as exported although it is not so → what the verifier says of it.
SIGNED: dict[str, tuple[Callable[[export.Plan], export.Plan], str]] = {
    "another sidecar": (
        lambda plan: having(plan, disk(plan, ".json")[0], disk(plan, ".json", 1)[1]),
        "that of another clip",
    ),
    "another clip": (
        lambda plan: having(plan, disk(plan, ".mp4")[0], disk(plan, ".mp4", 1)[1]), "that of another clip",
    ),
    "a clip and its sidecar, both altered": (
        lambda plan: having(
            having(plan, disk(plan, ".mp4")[0], b"other"),
            disk(plan, ".json")[0],
            json.dumps({
                **json.loads(disk(plan, ".json")[1]),
                "size": 5, "sha256": hashlib.sha256(b"other").hexdigest(),
            }).encode(),
        ),
        "entry `stored` has another sha256",
    ),
    "another end": (
        lambda plan: having(plan, package.EXPORT, told(plan).replace(b'"stored"', b'"confirmed"')),
        "its story ends as stored, the report says confirmed",
    ),
    "an event kept back": (lambda plan: without(plan, b"copying"), "its story has a gap"),
    "the proof that it was stored kept back": (lambda plan: without(plan, b"stored"), "no entry says"),
    "a file that nothing tells of": (
        lambda plan: having(plan, "data/clips/x.mp4", b"x"), "no clip that is told of lies at",
    ),
    "fewer clips": (
        lambda plan: having(plan, package.EXPORT, json.dumps({"clips": []}).encode()), "names other clips",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SIGNED)
def test_what_a_station_signs_although_it_is_not_so_is_named(station: Exporting, what: str) -> None:
    make, named = SIGNED[what]
    plan = make(station.plan())
    with pytest.raises(Stop, match="export-not-whole") as raised:
        station.write(plan)
    assert named in raised.value.params["reason"]
    assert not (station.root / "bag").exists()


def kinds(bodies: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(str(body["to"]), body) for body in bodies]


def test_a_story_with_a_gap_is_no_way(pair: tuple[Path, Path, str]) -> None:
    whole: list[dict[str, Any]] = [
        {"from": None, "to": "seen"},
        {"from": "seen", "to": "copying"},
        {"from": "copying", "to": "stored"},
    ]
    package._way(kinds(whole), "stored")
    broken: list[tuple[list[dict[str, Any]], str]] = [
        (whole, "confirmed"), (whole[1:], "stored"), (whole[:1] + whole[2:], "stored"), ([], "stored"),
        ([{"from": None, "to": "confirmed"}], "confirmed"), ([{"from": None, "to": ["seen"]}], "seen"),
    ]  # fmt: skip
    for bodies, end in broken:
        with pytest.raises(Invalid):
            package._way(kinds(bodies), end)
