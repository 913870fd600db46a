"""The end of what must not end is told, and the stop that follows is an orderly one."""

from collections.abc import Iterator

import pytest

from agent.errors import CatalogError
from agent.supervise import Supervisor


def test_a_catalog_that_cannot_commit_ends_the_run_and_not_the_orderly_stop() -> None:
    def beats() -> Iterator[tuple[str, float, float]]:
        raise CatalogError("catalog-write", reason="disk I/O error")
        yield

    supervisor = Supervisor([beats])
    supervisor.run(lambda: "")
    assert supervisor.failure


def test_a_summary_that_cannot_be_read_ends_the_run_and_not_the_orderly_stop() -> None:
    supervisor = Supervisor([])

    def summary() -> str:
        raise OSError("disk I/O error")

    supervisor.run(summary)
    assert supervisor.failure


def test_who_asks_while_a_beat_hangs_is_told_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("agent.supervise.time.monotonic", lambda: now[0])
    told = list[float]()

    def beats() -> Iterator[tuple[str, float, float]]:
        now[0] += 60  # it hangs that long
        told.append(supervisor.idle_for())
        yield "catalog", 0.0, 90.0

    def summary() -> str:
        told.append(supervisor.idle_for())
        raise OSError("that is enough")

    supervisor = Supervisor([beats])
    supervisor.run(summary)
    assert told == [60, 0]
