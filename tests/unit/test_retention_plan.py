"""What is passed over without a look could not go: over random histories, with wrong clocks."""

from pathlib import Path

import pytest

from agent.catalog import retained
from agent.catalog.retained import Row
from agent.retention.plan import plan
from tests.retained_house import DAY
from tests.unit.test_retention_histories import lived


def test_the_plan_names_each_clip_whose_time_is_over(tmp_path: Path) -> None:
    named = passed = 0
    for seed in range(15):
        with pytest.MonkeyPatch.context() as patch:
            house = lived(tmp_path / str(seed), seed, patch)
        db = house.catalog.read()
        keeping, confirmed = house.book.keeping(db), list(retained.all_confirmed(db))
        for now in (house.now - 5 * DAY, house.now, house.now + 40 * DAY):
            for ahead in (0.0, 30 * DAY):
                due = [
                    row.id
                    for row in confirmed
                    if keeping.here(row, retained.confirmed(db, row, now)).until <= now + ahead
                    and not keeping.holds(row)
                ]
                assert [going.row.id for going in plan(db, keeping, now, ahead)] == due
                named, passed = named + len(due), passed + len(confirmed) - len(due)
        house.close()
    assert named and passed


def test_what_is_worked_out_once_is_so_for_all_that_rules_ask() -> None:
    asked = ("recorder", "officer", "labelled_officer", "important", "category", "case", "case_closed")
    assert Row._fields[2:9] == asked
