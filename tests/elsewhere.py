"""Keeps skips honest. With `--no-unlisted-skips` a skip fails unless `elsewhere.toml` lists it with the
same reason and names what tests the promise elsewhere; an entry that no test answers to fails the run."""

import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("elsewhere.toml")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    test: str  # a node id, or a pattern of them with `*` and `?`
    reason: str  # stands in the text of the skip
    covered_by: str  # the test that keeps the promise elsewhere

    def names(self, nodeid: str) -> bool:
        return nodeid == self.test or fnmatchcase(nodeid, self.test)


def read(text: str) -> list[Elsewhere]:
    """Raises TypeError for a missing or unknown key, ValueError for an empty one."""
    entries = [Elsewhere(**entry) for entry in tomllib.loads(text).get("elsewhere", [])]
    for entry in entries:
        if not (entry.test and entry.reason and entry.covered_by):
            raise ValueError(f"elsewhere.toml: test, reason and covered_by must all be given: {entry}")
    return entries


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unlisted-skips", action="store_true", help="a skip fails unless tests/elsewhere.toml lists it"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-unlisted-skips"):
        config.pluginmanager.register(NoUnlistedSkips(read(LIST.read_text())))


class NoUnlistedSkips:
    def __init__(self, entries: list[Elsewhere]) -> None:
        self.entries = entries
        self.met: set[str] = set()  # every file, class and test of this run

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Turns an unlisted skip into a failure. An expected failure counts as a skip."""
        if report.outcome != "skipped":
            return
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(e.names(report.nodeid) and e.reason in why for e in self.entries):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid}: {why}\nnot listed in tests/elsewhere.toml"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._judge(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        self.met.add(report.nodeid)
        self._judge(report)
        return report

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if config.args_source != pytest.Config.ArgsSource.TESTPATHS:
            return  # only a part of the tests was asked for
        self.met.update(item.nodeid for item in items)
        stale = [e.test for e in self.entries if not any(map(e.names, self.met))]
        if stale:
            raise pytest.UsageError(f"tests/elsewhere.toml names no test: {', '.join(stale)}")
