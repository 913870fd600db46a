"""What the surfaces are told by: asked as often as a page has rows."""

from pathlib import Path
from typing import Any, cast

import pytest

from agent import surfaces
from agent.catalog import Catalog
from agent.config.roster import Line, Roster
from agent.retention import roster


def test_a_page_reads_the_roster_once_and_not_for_each_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, looks = Catalog.open(tmp_path / "catalog.db"), list[Any]()

    def protecting(db: Any) -> roster.Protecting:
        looks.append(db)
        return roster.protecting(db)

    monkeypatch.setattr(surfaces, "protecting", protecting)
    try:
        roster.take_over(catalog, Roster((Line("R1", "P1", "first"),)))
        nothing = cast(Any, None)
        rooms = surfaces.Rooms(nothing, catalog, tmp_path, nothing, nothing, {}, nothing, nothing, nothing)
        asked = surfaces.asked(rooms)
        assert {asked.units_of("P1") for _ in range(1000)} == {frozenset({"first"})}
        assert len(looks) < 10
    finally:
        catalog.close()
