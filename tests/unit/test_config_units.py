import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent.config.units import (
    Duration,
    Rate,
    Size,
    parse_duration,
    parse_rate,
    parse_size,
    show_duration,
    show_rate,
    show_size,
)

SIZE = TypeAdapter(Size)
DURATION = TypeAdapter(Duration)
RATE = TypeAdapter(Rate)


@given(st.integers(0, (1 << 63) - 1))
def test_a_size_is_written_and_read_back_to_the_byte(size: int) -> None:
    assert parse_size(show_size(size)) == size
    assert SIZE.validate_json(SIZE.dump_json(size)) == size


@given(st.integers(0, (1 << 63) - 1))
def test_a_speed_is_written_and_read_back_to_the_byte(rate: int) -> None:
    assert parse_rate(show_rate(rate)) == rate
    assert RATE.validate_json(RATE.dump_json(rate)) == rate
    assert re.search(RATE.json_schema()["pattern"], show_rate(rate))


@pytest.mark.parametrize(
    ("written", "rate"), [("20 MiB/s", 20 << 20), ("1.5 MB / s", 1_500_000), ("64kib/s", 65536), (9, 9)]
)
def test_speeds_read_as_people_write_them(written: object, rate: int) -> None:
    assert parse_rate(written) == rate


@pytest.mark.parametrize("written", ["20 MiB", "20/s", "20 Mbit/s", "MiB/s", "20 MiB/min", "/s", True, None])
def test_what_is_no_speed_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="such as `20 MiB/s`"):
        parse_rate(written)


@given(st.floats(0, 36_500 * 86_400).map(lambda seconds: round(seconds, 6)))
def test_a_duration_is_written_and_read_back_to_the_microsecond(seconds: float) -> None:
    assert parse_duration(show_duration(seconds)) == seconds


@given(st.integers(0, 1 << 53), st.floats(0, 36_500 * 86_400).map(lambda seconds: round(seconds, 6)))
def test_what_is_written_back_fits_the_json_schema(size: int, seconds: float) -> None:
    assert re.search(SIZE.json_schema()["pattern"], show_size(size))
    assert re.search(DURATION.json_schema()["pattern"], show_duration(seconds))


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2 GiB", 2 << 30),
        ("512MiB", 512 << 20),
        ("1.5 GB", 1_500_000_000),
        ("0 B", 0),
        ("0.5 kib", 512),
        (" 3 tb ", 3 * 10**12),
        (4096, 4096),
    ],
)
def test_sizes_read_as_people_write_them(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30 days", 30 * 86_400),
        ("60 s", 60),
        ("5 min", 300),
        ("2 h", 7200),
        ("1.5h", 5400),
        ("250 ms", 0.25),
        ("1 Week", 604_800),
        ("0 s", 0),
    ],
)
def test_durations_read_as_people_write_them(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("seconds", "written"), [(60, "1 min"), (90, "90 s"), (0.25, "0.25 s"), (0, "0.0 s")]
)
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds: float, written: str) -> None:
    assert show_duration(float(seconds)) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "GiB",
        "-1 GiB",
        "1,5 GB",
        "1 G",
        "2 XB",
        "1e3 MB",
        "٣ GB",
        "9 EiB",
        "99999 PiB",
        -1,
        True,
        1.5,
        None,
        [],
    ],
)
def test_a_wrong_size_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match="512 MiB"):
        parse_size(written)


@pytest.mark.parametrize(
    "written", ["", "60", 60, 60.0, "1 m", "-5 s", "5 parsecs", "40000 days", True, None, {}]
)
def test_a_wrong_duration_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match="30 days"):
        parse_duration(written)


def test_code_gives_durations_in_seconds_but_a_file_must_say_the_unit() -> None:
    from agent.config.units import FROM_FILE

    assert DURATION.validate_python(0.5) == 0.5
    for value in (float("nan"), float("inf"), -1):
        with pytest.raises(ValueError, match="30 days"):
            DURATION.validate_python(value)
    with pytest.raises(ValueError, match="30 days"):
        DURATION.validate_python(60, context=FROM_FILE)


def test_units_are_dumped_for_people_in_json_only() -> None:
    assert json.loads(SIZE.dump_json(2 << 30)) == "2 GiB"
    assert SIZE.dump_python(2 << 30) == 2 << 30
    assert json.loads(DURATION.dump_json(300.0)) == "5 min"
