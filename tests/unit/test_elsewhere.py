"""The skip that nobody listed fails, in whatever way it was skipped."""

from typing import Protocol

import pytest

from tests import elsewhere, here

SKIPS = """
    import pytest

    def test_runs(): pass

    def test_called(): pytest.skip("needs wings: none here")

    @pytest.mark.skip(reason="needs wings: none here")
    def test_marked(): pass

    @pytest.mark.xfail(reason="needs wings: none here")
    def test_expected(): assert False
"""
LISTED = """
    [[elsewhere]]
    test = "test_wings.py::test_*"
    reason = "{reason}"
    covered_by = "tests/vm/test_wings.py"
"""


class Run(Protocol):
    def __call__(self, listed: str = "", source: str = SKIPS) -> pytest.RunResult: ...


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(listed: str = "", source: str = SKIPS) -> pytest.RunResult:
        pytester.makepyfile(test_wings=source)
        pytester.makeini("[pytest]\ntestpaths = .")
        monkeypatch.setattr(elsewhere, "LIST", pytester.path / "elsewhere.toml")
        elsewhere.LIST.write_text(listed)
        return pytester.runpytest_inprocess("-p", "tests.elsewhere", "--no-unlisted-skips")

    return run


def test_a_skip_that_nobody_listed_fails(run: Run) -> None:
    run().assert_outcomes(passed=1, failed=2, errors=1)


def test_a_listed_skip_passes(run: Run) -> None:
    run(LISTED.format(reason="needs wings")).assert_outcomes(passed=1, skipped=2, xfailed=1)


def test_a_skip_for_another_reason_than_the_listed_one_fails(run: Run) -> None:
    run(LISTED.format(reason="needs fins")).assert_outcomes(passed=1, failed=2, errors=1)


def test_a_whole_module_that_skips_itself_must_be_listed(run: Run) -> None:
    source = "import pytest\npytest.skip('needs wings', allow_module_level=True)"
    run(source=source).assert_outcomes(errors=1)
    listed = LISTED.format(reason="needs wings").replace("test_wings.py::test_*", "test_wings.py")
    run(listed, source).assert_outcomes(skipped=1)


def test_an_entry_that_names_no_test_fails_the_run(run: Run) -> None:
    ran = run(LISTED.format(reason="wings").replace("test_wings.py", "test_gone.py", 1))
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines("*names no test: test_gone.py*")


def test_an_entry_must_say_who_keeps_the_promise() -> None:
    with pytest.raises(TypeError, match="covered_by"):
        elsewhere.read('[[elsewhere]]\ntest = "x"\nreason = "y"')
    with pytest.raises(ValueError, match="covered_by"):
        elsewhere.read('[[elsewhere]]\ntest = "x"\nreason = "y"\ncovered_by = ""')


def test_a_lacking_capability_skips_with_its_name_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(here.CAPABILITIES, "wings", lambda: "none here")
    with pytest.raises(pytest.skip.Exception, match="needs wings: none here"):
        here.require("wings")
