"""The end of what must not end is told, and the stop that follows is an orderly one."""

from collections.abc import Iterator

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
