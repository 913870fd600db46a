"""What a name says is read right, and no name stops anything."""

import string
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from drivers.names import ParsedName, parse
from drivers.profile import rules

ALNUM = string.ascii_letters + string.digits
numbers7 = st.text(ALNUM, min_size=7, max_size=7)
numbers6 = st.text(ALNUM, min_size=6, max_size=6)
times = st.datetimes(datetime(1980, 1, 1), datetime(2107, 12, 31)).map(lambda t: t.replace(microsecond=0))
sequences = st.integers(0, 9999)
marks = st.sampled_from(["", "IMP", "_IMP", "imp"])
extensions = st.sampled_from(["mp4", "MP4", "jpg", "log", "x"])


@given(numbers7, numbers6, times, sequences, marks, extensions)
def test_form_a_is_read_as_it_was_written(
    recorder: str, officer: str, time: datetime, sequence: int, mark: str, extension: str
) -> None:
    name = f"{recorder}_{officer}_{time:%Y%m%d%H%M%S}_{sequence:04}{mark}.{extension}"
    assert parse(name) == ParsedName("A", recorder, officer, time, sequence, bool(mark))


@given(numbers7, numbers6, times, sequences, marks, extensions)
def test_form_b_is_told_from_a_by_the_length_of_the_numbers(
    recorder: str, officer: str, time: datetime, sequence: int, mark: str, extension: str
) -> None:
    name = f"{officer}_{recorder}_{time:%Y%m%d%H%M%S}_{sequence:04}{mark}.{extension}"
    assert parse(name) == ParsedName("B", recorder, officer, time, sequence, bool(mark))


@given(times, sequences, marks, extensions)
def test_form_c_names_time_and_sequence_only(
    time: datetime, sequence: int, mark: str, extension: str
) -> None:
    name = f"{time:%Y%m%d%H%M%S}_{sequence:04}{mark}.{extension}"
    assert parse(name) == ParsedName("C", "", "", time, sequence, bool(mark))


@given(st.text(ALNUM, min_size=1, max_size=12), numbers6, times, marks, extensions)
def test_form_d_is_read_as_it_was_written(
    recorder: str, officer: str, time: datetime, mark: str, extension: str
) -> None:
    name = f"DCAM_{recorder}_{officer}_{time:%Y%m%d_%H%M%S}{mark}.{extension}"
    assert parse(name) == ParsedName("D", recorder, officer, time, None, bool(mark))


@given(times, st.integers(0, 999), st.sampled_from("AB"), extensions)
def test_both_dash_camera_forms_name_the_time(
    time: datetime, sequence: int, side: str, extension: str
) -> None:
    expected = ParsedName("E", recorded_at=time, sequence=sequence)
    assert parse(f"{time:%Y_%m%d_%H%M%S}_{sequence:03}{side}.{extension}") == expected
    assert parse(f"{time:%Y%m%d_%H%M%S}_{sequence:03}{side}.{extension}") == expected
    assert parse(f"{time:%Y%m%d_%H%M%S}_front.{extension}") == ParsedName("E", recorded_at=time)


@given(st.text())
def test_no_text_makes_the_parser_raise(text: str) -> None:
    assert parse(text).pattern in {*"ABCDEF"}


@given(st.binary(max_size=255))
def test_no_bytes_make_the_parser_raise(name: bytes) -> None:
    assert parse(name.decode("utf-8", "surrogateescape")).pattern in {*"ABCDEF"}


@given(st.from_regex(r"\A[0-9]{7}_[0-9]{6}_[0-9]{14}_[0-9]{4}\.mp4\Z"))
def test_an_impossible_time_is_no_time_and_everything_else_is_kept(name: str) -> None:
    parsed = parse(name)
    time = name.split("_")[2]
    assert (parsed.pattern, parsed.recorder) == ("A", name[:7])
    assert parsed.recorded_at is None or parsed.recorded_at.strftime("%Y%m%d%H%M%S").rjust(14, "0") == time


@pytest.mark.parametrize("time", ["20260230120000", "20260804240000", "00000000000000", "20261301000000"])
def test_a_day_that_never_was_is_no_time(time: str) -> None:
    assert parse(f"8888888_000000_{time}_0001IMP.mp4") == ParsedName(
        "A", "8888888", "000000", None, 1, important=True
    )


@pytest.mark.parametrize(
    "name",
    [
        "8888888_8888888_20160129205547_0001.mp4",  # neither number can be told from the other
        "8888888_000000_20160129205547_001.mp4",
        "8888888_000000_20160129205547_0001.mp4.tmp",
        "８８８８８８８_000000_20160129205547_0001.mp4",
        "8888888_000000_20160129205547_0001\n.mp4",
        "MOV_0001.mp4",
        "20160129_2055471.mp4",
        "IMPORT.mp4",
    ],
)
def test_what_fits_no_pattern_is_pattern_f(name: str) -> None:
    assert parse(name) == ParsedName()


@pytest.mark.parametrize("name", ["MOV0001IMP.mp4", "MOV_0001_IMP.MP4", "imp.wav"])
def test_an_unknown_name_with_the_mark_is_important(name: str) -> None:
    assert parse(name) == ParsedName(important=True)


def test_each_example_in_the_profiles_fits_its_own_pattern_and_no_other() -> None:
    known = rules()
    for named in known.names:
        for example in named.examples:
            fitting = [p for p in known.names if p.regex.fullmatch(example.rpartition(".")[0])]
            assert fitting == [named], example
    assert {named.pattern for named in known.names} == {*"ABCDE"}


def test_a_new_maker_is_a_profile_and_no_code(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(
        "names:\n"
        "  - pattern: ACME\n"
        "    regex: 'ACME-(?P<recorder>[A-Z]+)-(?P<time>[0-9]{14})-(?P<sequence>[0-9]+)'\n"
        "    examples: [ACME-XY-20260804100000-7.mp4]\n"
    )
    time = datetime(2026, 8, 4, 10)
    assert parse("ACME-XY-20260804100000-7.mp4", rules(tmp_path)) == ParsedName("ACME", "XY", "", time, 7)
    too_long_for_the_catalog = f"ACME-XY-20260804100000-{'9' * 30}.mp4"
    assert parse(too_long_for_the_catalog, rules(tmp_path)) == ParsedName("ACME", "XY", "", time, None)


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("important_folder: [X]", "`important_folder`: unknown key; did you mean `important_folders`?"),
        ("names: [{pattern: Q, regex: '(', examples: [x]}]", "is no regular expression"),
        ("names: [{pattern: Q, regex: '(?P<dev>x)', examples: [x]}]", "unknown group ['dev']"),
        ("names: [{pattern: Q, regexp: 'x', examples: [x]}]", "did you mean `regex`?"),
        ("identity_files: [{path: 'x', regex: 'y'}]", "must have a group `recorder`"),
        ("kinds: {film: [mp4]}", "film"),
        ("kinds: {video: [.mp4]}", "without the dot"),
        ("kinds: {video: [log], sidecar: [log]}", ".log is both video and sidecar"),
        ("labels: [7]", "must be text"),
        ("labels: [", "bad.yaml"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_place(tmp_path: Path, profile: str, told: str) -> None:
    (tmp_path / "bad.yaml").write_text(profile)
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path)
    assert told in str(caught.value)


def test_all_mistakes_in_all_profiles_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("namez: []\nlabelz: []\n")
    (tmp_path / "b.yaml").write_text("kindz: {}\n")
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path)
    assert len(caught.value.faults) == 3
