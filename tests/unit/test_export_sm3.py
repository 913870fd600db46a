"""Where clips have an SM3, a package has a manifest of it, which lists every file as BagIt wants it."""

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.custody import national
from agent.custody.evidence import export
from agent.custody.national import SM3
from agent.errors import Stop
from tests.exporting import Exporting, remade, run, wrong

EMPTY = "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
#: GB/T 32905, of `abc`
ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
WITHOUT = """
import hashlib, runpy, sys
new = hashlib.new
def without(name, *more, **others):
    if name == "sm3":
        raise ValueError("unsupported hash type sm3")
    return new(name, *more, **others)
hashlib.new = without
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exporting, Path]]:
    station = Exporting(tmp_path_factory.mktemp("sm3"), sm3=True)
    yield station, station.export()
    station.side.close()


def test_this_python_makes_sm3() -> None:
    for data, wanted in ((b"", EMPTY), (b"abc", ABC)):
        digest = national.sm3()
        digest.update(data)
        assert digest.hexdigest() == wanted


def test_every_file_of_the_payload_is_in_the_manifest(made: tuple[Exporting, Path]) -> None:
    station, bag = made
    lines = (bag / SM3).read_text().splitlines()
    told = {line[66:]: line[:64] for line in lines}
    files = {str(path.relative_to(bag)): path for path in (bag / "data").rglob("*") if path.is_file()}
    assert told == {name: hashlib.new("sm3", path.read_bytes()).hexdigest() for name, path in files.items()}
    for side in (bag / "data/clips").rglob("*.json"):
        assert json.loads(side.read_bytes())["sm3"] == told[str(side.relative_to(bag))[:-5]]
    assert wrong(bag, station.vkey) == []
    assert f"the SM3 of the {len(told)} files is that of the manifest" in run(bag).stdout
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "tagmanifest-sha256.txt"], cwd=bag, check=False
    )
    assert done.returncode == 0


def test_a_python_without_sm3_says_so_and_checks_the_rest(made: tuple[Exporting, Path]) -> None:
    _, bag = made
    command = [sys.executable, "-I", "-S", "-c", WITHOUT, str(bag / "data/verify.py"), str(bag)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SM3 not checked: this Python cannot; SHA-256 was" in done.stdout
    assert "the SM3 of the" not in done.stdout


def test_a_station_whose_python_has_none_makes_no_manifest_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = Exporting(tmp_path, sm3=True)
    with monkeypatch.context() as without:
        without.setattr(national, "sm3", lambda: None)
        bag = station.export()
    assert not (bag / SM3).exists()
    assert wrong(bag, station.vkey) == []
    station.side.close()


def test_without_an_sm3_of_any_clip_there_is_no_manifest_of_it(tmp_path: Path) -> None:
    station = Exporting(tmp_path)
    assert not (station.export() / SM3).exists()
    station.side.close()


def other_digit(bag: Path, which: str) -> None:
    text = (bag / SM3).read_text()
    found = re.search(rf"^([0-9a-f])(?=[0-9a-f]+  {which})", text, re.MULTILINE)
    assert found is not None
    digit = "0" if found[1] != "0" else "1"
    (bag / SM3).write_text(text[: found.start()] + digit + text[found.end() :])


def left_out(bag: Path, which: str) -> None:
    lines = (bag / SM3).read_text().splitlines(keepends=True)
    kept = [line for line in lines if which not in line]
    assert len(kept) == len(lines) - 1
    (bag / SM3).write_text("".join(kept))


def added(bag: Path, line: str) -> None:
    with (bag / SM3).open("a") as file:
        file.write(line)


#: By somebody who makes the other manifests anew → what is said.
TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a digit": (lambda bag: other_digit(bag, "data/report"), "SM3 differs: data/report.html"),
    "a digit of a clip": (lambda bag: other_digit(bag, "data/clips/.*mp4$"), "SM3 differs: data/clips/"),
    "a line left out": (lambda bag: left_out(bag, "data/clock.json"), "does not list data/clock.json"),
    "a line more": (lambda bag: added(bag, f"{EMPTY}  data/x\n"), "lists what is not there: data/x"),
    "a line twice": (lambda bag: added(bag, (bag / SM3).read_text()), "twice"),
    "a tag file": (lambda bag: added(bag, f"{EMPTY}  bagit.txt\n"), "belongs into the other one"),
    "cut": (lambda bag: (bag / SM3).write_text("x"), "the manifest is cut off"),
    "a clip": (
        lambda bag: next((bag / "data/clips").rglob("*.mp4")).write_bytes(b"x"), "SM3 differs: data/clips/",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_an_altered_manifest_of_sm3_is_named(made: tuple[Exporting, Path], tmp_path: Path, what: str) -> None:
    station, bag = made
    mine = shutil.copytree(bag, tmp_path / "bag")
    alter, named = TAMPERED[what]
    alter(mine)
    remade(mine)
    said = wrong(mine, station.vkey)
    assert any(named in one for one in said), said


def test_one_that_is_gone_is_named(made: tuple[Exporting, Path], tmp_path: Path) -> None:
    mine = shutil.copytree(made[1], tmp_path / "bag")
    (mine / SM3).unlink()
    assert f"removed: {SM3}" in wrong(mine)


def test_a_sidecar_with_another_sm3_than_its_clip_is_named(tmp_path: Path) -> None:
    station = Exporting(tmp_path, sm3=True)
    plan = station.plan()
    path, file = next((path, file) for path, file in plan.files.items() if path.endswith(".mp4.json"))
    assert isinstance(file.source, Path)
    said = {**json.loads(file.source.read_bytes()), "sm3": EMPTY}
    data = json.dumps(said).encode()
    other = export.File(data, hashlib.sha256(data).hexdigest())
    plan = dataclasses.replace(plan, files={**plan.files, path: other})
    with pytest.raises(Stop, match="export-not-whole") as raised:
        station.write(plan)
    assert "the sidecar has another SM3" in raised.value.params["reason"]
    station.side.close()
