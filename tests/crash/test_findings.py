"""A kill between any two statements of a verdict neither doubles a finding nor loses one."""

import os
from functools import partial
from pathlib import Path

from tests.dockside import in_a_child
from tests.recording import Recorder, Station


def prepared(path: Path) -> None:
    """A station at which a recorder was docked that lacks one number and two files, and that nobody has
    judged."""
    station, recorder = Station(path), Recorder()
    first, *_ = recorder.several(3)
    station.dock(recorder)
    left = recorder.several(2)
    station.dock(recorder, collect=0)
    recorder.erase(first, *left, recorder.take())
    recorder.several(2)
    station.dock(recorder, judge=False)
    station.close()


def judge(path: Path, statements: int) -> None:
    """Dies before the statement after so many."""
    station, left = Station(path), statements

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(9)

    station.catalog._connection.set_trace_callback(count)
    station.look()
    station.catalog._connection.set_trace_callback(None)
    station.close()


def test_a_kill_between_any_two_statements_neither_doubles_a_finding_nor_loses_one(tmp_path: Path) -> None:
    killed = 0
    while True:
        path = tmp_path / str(killed)
        prepared(path)
        code = in_a_child(partial(judge, path, killed))
        station = Station(path)
        station.look()
        rules = [row["rule"] for row in station.findings()]
        assert rules == ["vanished", "card-emptied", "sequence-gap"]
        assert [event["rule"] for event in station.events("finding")] == rules
        assert station.due() == []
        assert station.look() == []
        station.close()
        if code == 0:
            break
        assert code == 9
        killed += 1
    assert killed > 10
