"""A file of labels is taken over whole, or not at all; each line that is refused is told with its reason."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.catalog import labels
from agent.cli.client import Client
from agent.cli.label import app
from agent.clock import Stamp
from agent.errors import Reject, Stop
from agent.retention import sheet
from tests.unit.test_retention_commands import House, refused

NAMED = ("--name", "Wang", "--reason", "why", "--lang", "en")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(time.time(), "boot", True))
    made = House(tmp_path)

    def post(client: Client, resource: str, arguments: Mapping[str, str]) -> Any:
        assert len(str(arguments)) < 64 << 10
        try:
            return made.commands[resource.removeprefix("/commands/")](arguments, "wang")
        except Reject as error:
            raise Stop(error.key, **error.params) from error

    monkeypatch.setattr(Client, "post", post)
    yield made
    made.station.close()


def load(house: House, text: str, *more: str) -> Any:
    file = house.station.root / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["import", str(file), *NAMED, *more])


def said(house: House, clip: int, field: str = "category") -> str:
    return labels.of(house.catalog.read(), clip)[field]


def test_one_line_that_is_refused_keeps_the_whole_file_back_and_all_of_them_are_told(house: House) -> None:
    one, two, held = house.clip("1.mp4"), house.clip("2.mp4"), house.clip("3.mp4")
    house.say("label", clips=held, case="LN-1")
    house.say("hold-set", scope="case", value="LN-1")
    text = (
        "clip,category,case,important\n"
        f'{one},"two\nlines",,\n'
        f"{two},traffic,,maybe\n"
        "999,traffic,,\n"
        f"{held},,LN-2,\n"
        "x,traffic,,\n"
        f"{two},traffic,,\n"
        f"{two},traffic\n"
    )
    done = load(house, text)
    assert done.exit_code == 1
    *told, last = done.stderr.splitlines()
    assert [line.split(", line ")[1].split(":")[0] for line in told] == list("3456789")
    assert "7 lines are refused" in last
    for number, why in (
        (3, "one line"),
        (4, "yes, no"),
        (5, "no clip 999"),
        (6, "hold"),
        (7, "no clip's id"),
    ):
        assert any(f", line {number}: " in line and why in line for line in told), (number, told)
    assert any(", line 8: " in line and "Line 4 speaks of clip" in line for line in told)
    assert any(", line 9: " in line and "heading" in line for line in told)
    assert {said(house, clip) for clip in (one, two, held)} == {""}


def test_a_good_file_is_taken_over_and_again_says_nothing_twice(house: House) -> None:
    clips = [house.clip(f"{number}.mp4") for number in range(3)]
    text = "clip,category,note\n" + "".join(f"{clip},traffic,看过\n" for clip in clips)
    for changed in (3, 0):
        done = load(house, text)
        assert (done.exit_code, f"3 clips are labelled; {changed}" in done.stdout) == (0, True), done.output
    assert {said(house, clip) for clip in clips} == {"traffic"}
    assert house.texts.read(said(house, clips[0], "note")) == "看过"


def test_a_line_that_takes_two_persons_is_refused_and_says_what_to_do(house: House) -> None:
    clip = house.clip()
    house.say("label", clips=clip, important="yes")
    text = f"clip,important\n{clip},no\n"
    done = load(house, text)
    assert (done.exit_code, f"label set --clip {clip}" in done.stderr) == (1, True), done.output
    done = load(house, text, "--as-officer")
    assert (done.exit_code, "Ask a custodian" in done.stderr) == (1, True), done.output
    assert said(house, clip, "important") == "yes"


def test_what_is_refused_only_in_the_commit_is_told_and_keeps_no_other_line_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = house.clip("1.mp4"), house.clip("2.mp4")
    house.say("label", clips=one, case="LN-1")
    checked = sheet.check

    def late(*args: Any, **more: Any) -> Any:
        found = checked(*args, **more)
        house.say("hold-set", scope="case", value="LN-1")
        return found

    monkeypatch.setattr(sheet, "check", late)
    done = load(house, f"clip,category,case\n{one},traffic,LN-2\n{two},traffic,\n")
    assert (done.exit_code, ", line 2: " in done.stderr, "1 of 2 lines" in done.stderr) == (1, True, True)
    assert (said(house, one), said(house, two)) == ("", "traffic")


def test_an_import_that_is_cut_off_says_how_far_it_came(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [house.clip(f"{number}.mp4") for number in range(3)]
    monkeypatch.setattr("agent.cli.label_file._GROUP", 2)
    put, calls = sheet.put, iter([None, Reject("stopping")])

    def cut(*args: Any, **more: Any) -> Any:
        if (error := next(calls)) is not None:
            raise error
        return put(*args, **more)

    monkeypatch.setattr(sheet, "put", cut)
    done = load(house, "clip,category\n" + "".join(f"{clip},traffic\n" for clip in clips))
    assert (done.exit_code, "up to line 3" in done.stderr) == (1, True), done.stderr
    assert [said(house, clip) for clip in clips] == ["traffic", "traffic", ""]


def test_long_lines_are_sent_in_pieces_that_the_agent_takes(house: House) -> None:
    clips = [house.clip(f"{number}.mp4") for number in range(40)]
    text = "clip,note\n" + "".join(f"{clip},{'注' * 500}\n" for clip in clips)
    assert load(house, text).exit_code == 0
    assert {len(said(house, clip, "note")) for clip in clips} == {64}


def test_the_same_is_looked_up_once_for_all_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [house.clip(f"{number}.mp4") for number in range(4)]
    made, fresh = list[Any](), house.book.fresh

    def counted(db: sqlite3.Connection) -> Any:
        made.append(fresh(db))
        return made[-1]

    monkeypatch.setattr(house.book, "fresh", counted)
    assert load(house, "clip,category\n" + "".join(f"{one},c{one}\n" for one in clips)).exit_code == 0
    assert len(made) == 2


@pytest.mark.parametrize(
    "lines", ["", "[]", "{}", "[[1]]", '[["a", {}]]', '[[1, {"colour": "red"}]]', '[[1, {"case": 1}]]']
)
def test_what_is_no_list_of_lines_is_refused(house: House, lines: str) -> None:
    with refused("bad-parameter"):
        house.say("label-lines", lines=lines)
