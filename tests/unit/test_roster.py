"""The roster file: all of it or nothing, every fault with its line, and what it says of a day."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.retention import SOURCES
from agent.config.roster import COLUMNS, Line, Roster, parse, read, spelt
from agent.errors import ConfigError
from agent.model import printable

FILE = Path("roster.csv")
HEAD = "recorder,officer,unit,source,from,to\n"


def faults(data: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(data if isinstance(data, bytes) else data.encode(), FILE)
    return caught.value.faults


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("8888888,1,a,phone,,\n", ["2: `source` should be recorder, camera, interview-room, or nothing"]),
        (",1,a,,,\n", ["2: `recorder` is empty"]),
        ("8888888,1,a\n", ["2: should have 6 cells"]),
        ("8888888,1,a,,,,x\n", ["2: should have 6 cells"]),
        ("8888888,1,a,,2026-02-30,\n", ["2: `from` should be a day such as 2026-11-25"]),
        ("8888888,1,a,,2026-03-02,2026-03-01\n", ["2: `to` is before `from`"]),
        ("8888888,1\u202e,a,,,\n", ["2: `officer` has a control character"]),
        ('8888888,"1\n2",a,,,\n8888889,\0,,,,\n', ["2: `officer` has a", "4: `officer` has a"]),
        (f"8888888,1,{'a' * 65},,,\n", ["2: `unit` is too long"]),
        ('8888888,"1,a,,,\n8888889,,,,,\n', ["2: is no CSV from here on"]),
        ("8888888,1,a,,,\n8888888,1,a,,,\n", ["3: says the same as line 2"]),
        (
            "8888888,1,a,,2026-01-01,2026-01-31\n8888888,2,a,,2026-01-31,\n",
            ["3: recorder 8888888 has line 2 on the same days"],
        ),
        ("abc,1,a,,,2026-01-31\nABC,2,a,,2026-01-31,\n", ["3: recorder ABC has line 2 on the same days"]),
        ("\n", ["1: names no recorder"]),
        (",1,a,,,\n8888888,1,a,tv,x,\n", ["2: `recorder`", "3: `from`", "3: `source`"]),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_line_and_all_at_once(body: str, said: list[str]) -> None:
    found = faults(HEAD + body)
    assert len(found) == len(said)
    for fault, start in zip(found, said, strict=True):
        assert fault.startswith(f"roster.csv:{start}")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("recorder,oficer,unit", "the column `oficer` is not known: did you mean `officer`?"),
        ("recorder,officer,unit,unit", "the column `unit` stands here twice"),
        ("recorder,unit", "the column `officer` is missing"),
        ("recorder;officer;unit", "its columns are not separated by commas"),
        ("", "is empty"),
    ],
)
def test_columns_that_are_not_as_they_should_be_are_told(head: str, said: str) -> None:
    assert any(f"roster.csv:1: {said}" in fault for fault in faults(head + "\n"))


def test_files_that_a_spreadsheet_saved_otherwise_are_told_in_clear_words() -> None:
    text = HEAD + "8888888,1,交通警察,,,\n"
    assert faults(text.encode("gbk")) == [
        "roster.csv:2: is GBK text, not UTF-8: save the file as `CSV UTF-8`"
    ]
    assert faults(text.encode("utf-16")) == ["roster.csv:1: is UTF-16 text: save it as `CSV UTF-8`"]
    assert "workbook" in faults(b"PK\x03\x04" + bytes(99))[0]
    assert faults(HEAD.encode() + b"8888888,\xff\xff\n")[0].startswith("roster.csv:2: is not UTF-8 text")
    assert parse(b"\xef\xbb\xbf" + text.encode(), FILE) == parse(text.encode(), FILE)


def test_what_a_spreadsheet_adds_is_no_fault() -> None:
    text = "Unit, Recorder,officer,FROM,,\r\na,888, 1 ,2026/1/5,,\r\n,,,,,\r\n"
    assert parse(text.encode(), FILE).lines == (Line("888", "1", "a", first=date(2026, 1, 5)),)


def test_a_file_that_is_wrong_in_every_line_does_not_flood_the_status() -> None:
    found = faults(HEAD + "8,,,,,x\n" * 5000)
    assert len(found) == 51
    assert found[-1] == "roster.csv:1: and 4950 faults more"


def test_a_roster_that_cannot_be_read_is_a_fault_and_none_is_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv:1: the roster cannot be read: No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="Is a directory"):
        read(tmp_path)
    assert read(None) == Roster()


cells = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)
days = st.dates(date(2026, 1, 1), date(2026, 3, 31))


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    found = []
    for number in draw(st.lists(st.integers(0, 99_999), min_size=1, max_size=5, unique=True)):
        ends = sorted(draw(st.lists(days, min_size=2, max_size=6, unique=True)))
        for first, last in zip(ends[::2], ends[1::2], strict=False):
            said = Line(str(number), draw(cells), draw(cells), draw(st.sampled_from(SOURCES)), first, last)
            found.append(said)
    return draw(st.permutations(found))


def written(some: list[Line]) -> bytes:
    def quoted(cell: object) -> str:
        return '"' + str(cell).replace('"', '""') + '"'

    rows = [(each.recorder, each.officer, each.unit, each.source, each.first, each.last) for each in some]
    return "".join(",".join(map(quoted, row)) + "\n" for row in [COLUMNS, *rows]).encode()


@given(lines(), days, st.integers(0, 20))
def test_what_is_written_is_what_is_looked_up(some: list[Line], day: date, length: int) -> None:
    roster = parse(written(some), FILE)
    assert sorted(roster.lines, key=repr) == sorted(some, key=repr)
    for recorder in {each.recorder for each in some}:
        holding = [each for each in some if each.recorder == recorder and each.first <= day <= each.last]
        assert roster.of(recorder, day) == (holding[0] if holding else None)
        assert roster.officer(recorder, day) == (holding[0].officer if holding else "")
        assert roster.sources[recorder] == {each.source for each in some if each.recorder == recorder}
        if holding and holding[0].officer:
            assert roster.unit(holding[0].officer, recorder, day) == holding[0].unit
    for each in some:
        assert not each.unit or not each.officer or each.unit in roster.units[spelt(each.officer)]
    last = day + timedelta(length)
    there = {
        each.recorder
        for each in some
        if any(each.first <= day + timedelta(n) <= each.last for n in range(length + 1))
    }
    assert set(roster.during(day, last)) == there


near_ones = st.text('rec,"\n;ofu\0', max_size=80).map(lambda text: (HEAD + text).encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | near_ones)
def test_whatever_the_file_is_it_is_a_roster_or_faults_with_lines(data: bytes) -> None:
    try:
        roster = parse(data, FILE)
    except ConfigError as error:
        assert error.faults
        for fault in error.faults:
            name, line, _ = fault.split(":", 2)
            assert name == "roster.csv"
            assert 1 <= int(line) <= data.count(b"\n") + data.count(b"\r") + 1
            assert printable(fault) == fault
    else:
        assert roster.lines
        assert parse(data, FILE) == roster


@given(lines(), st.data())
def test_two_lines_of_a_recorder_on_one_day_are_refused(some: list[Line], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(some))
    day = data.draw(st.dates(one.first, one.last))
    more = Line(one.recorder, "other", "other", first=day, last=day)
    with pytest.raises(ConfigError):
        parse(written(data.draw(st.permutations([*some, more]))), FILE)
