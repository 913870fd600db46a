"""Over histories that nobody planned: what is honest is accused of nothing, what is taken away is found."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recording import SEGMENT, File, Recorder, Station

#: Each example has its own catalog: in memory, where there is such a place.
QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: Seconds; not the very length of a segment, at which a stop looks like a cut.
lengths = st.integers(5, 2400).filter(lambda s: 10 < s % SEGMENT.seconds < SEGMENT.seconds - 10)
deeds = st.one_of(
    st.tuples(st.just("record"), lengths),
    st.tuples(st.just("photo"), st.integers(1, 4)),
    st.tuples(st.just("rest"), st.integers(60, 100_000)),
    st.tuples(st.just("mark"), st.integers(0, 100)),
    st.tuples(st.just("clock"), st.sampled_from([-3000, -30, 30, 3000])),
    st.tuples(st.just("dock"), st.integers(0, 12)),
    st.tuples(st.just("cannot list"), st.integers(0, 12)),
    st.tuples(st.just("restart"), st.just(0)),
)
histories = st.lists(deeds, min_size=3, max_size=25)
starts = st.sampled_from([0, 300, 985, 9980])


def do(recorder: Recorder, station: Station, deed: str, figure: int) -> list[str]:
    """Something honest; the rules of what was found."""
    if deed == "record":
        recorder.record(timedelta(seconds=figure))
    elif deed == "photo":
        recorder.several(figure, "photo")
    elif deed == "rest":
        recorder.now += timedelta(seconds=figure)
    elif deed == "clock":
        recorder.now += timedelta(days=figure)
    elif deed == "mark" and recorder.files:
        one = recorder.files[figure % len(recorder.files)]
        if not one.important:
            recorder.mark(one)
    elif deed == "restart":
        station.judge = station.judge.__class__(station.catalog)
    elif deed in ("dock", "cannot list"):
        return station.dock(recorder, collect=figure, listed=deed == "dock")
    return []


@MODEST
@given(start=starts, top=st.sampled_from([999, 9999]), history=histories)
def test_an_honest_history_is_accused_of_nothing(
    start: int, top: int, history: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        station, recorder = Station(Path(folder)), Recorder(last=min(start, top - 10), top=top)
        try:
            for deed, figure in history:
                assert do(recorder, station, deed, figure) == []
            assert station.dock(recorder) == []
        finally:
            station.close()


@MODEST
@given(
    start=starts,
    history=st.lists(deeds.filter(lambda one: one[0] != "clock"), max_size=15),
    taken=st.integers(0, 100),
    data=st.data(),
)
def test_what_is_taken_away_before_it_was_seen_is_found_by_its_number(
    start: int, history: list[tuple[str, int]], taken: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        station, recorder = Station(Path(folder)), Recorder(last=start)
        try:
            recorder.several(2)
            assert station.dock(recorder) == []
            for deed, figure in history:
                assert do(recorder, station, deed, figure) == []
            fresh = recorder.several(data.draw(st.integers(2, 9)))
            one = fresh[taken % (len(fresh) - 1)]
            recorder.erase(one)
            assert station.dock(recorder) == ["sequence-gap"]
            [found] = station.open()
            assert found["facts"]["numbers"] == [[one.sequence, one.sequence]]
        finally:
            station.close()


@MODEST
@given(
    visits=st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.booleans()), min_size=4, max_size=20),
    start=starts,
)
def test_a_recorder_that_alternates_between_two_stations_is_accused_of_nothing_by_either(
    visits: list[tuple[bool, int, bool]], start: int
) -> None:
    """Each sees all that is on the card, wherever it was collected first; nobody erases it."""
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        stations = Station(Path(folder) / "one"), Station(Path(folder) / "two")
        recorder = Recorder(last=start)
        try:
            for second, files, early in visits:
                recorder.several(files)
                assert stations[second].dock(recorder, collect=2 if early else 10**9) == []
        finally:
            for station in stations:
                station.close()


@MODEST
@given(
    back=st.integers(1, 200),
    kinds=st.lists(st.sampled_from(["video", "photo"]), min_size=1, max_size=12),
    later=st.lists(st.sampled_from(["video", "photo"]), min_size=1, max_size=12),
    start=st.sampled_from([300, 5000]),
)
def test_a_counter_that_went_back_is_found_once(
    back: int, kinds: list[str], later: list[str], start: int
) -> None:
    """Whatever was recorded then, and by whichever of the kinds that share it."""
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        station, recorder = Station(Path(folder)), Recorder(last=start)
        try:
            for _ in range(2):
                recorder.several(2, "photo")
                recorder.several(4)
                recorder.several(1, "photo")
                recorder.several(1)
                assert station.dock(recorder) == []
            recorder.last -= back + len(kinds)
            for kind in ["video", *kinds]:
                recorder.take(kind=kind)
            assert station.dock(recorder) == ["counter-back"]
            for kind in later:
                recorder.take(kind=kind)
                assert station.dock(recorder) == []
        finally:
            station.close()


def test_a_file_of_the_house_is_named_as_recorders_name_theirs() -> None:
    """Else none of this would have a number."""
    source = File(17, Recorder().now, SEGMENT).source
    assert (source.sequence, source.recorded_at, source.name_parsed) == (17, Recorder().now, True)
