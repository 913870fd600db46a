"""ARCHITECTURE.md tells the truth where a test can check it."""

import re
from pathlib import Path

from agent.model import ClipState

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
}


def crash_table() -> list[str]:
    section = TEXT.split("## What survives what")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ") and "`test" in line]


def test_every_row_of_the_crash_table_is_a_test_that_exists() -> None:
    rows = crash_table()
    assert len(rows) > 9
    for row in rows:
        (name,) = re.findall(r"`(test\w*(?:/[\w./]+)?)`", row.rsplit("|", 2)[1])
        assert name in TESTS or (ROOT / name).is_file(), row


def test_every_state_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(explained) == set(map(str, ClipState))
