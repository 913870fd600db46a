"""docs/api.md speaks of every route, with the right that it wants, and of no other."""

import re
from pathlib import Path

from agent.access.roles import Right
from tests.web.station import Station

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
ROW = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| (.+?) \|", re.MULTILINE)


def test_every_route_is_documented_and_no_other(station: Station) -> None:
    described = station.get_local("/api/v1/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    rows = ROW.findall(DOCS.read_text("utf-8"))
    assert {(method, path) for method, path, _ in rows} == routes
    rights = {right for _, _, cell in rows for right in re.findall(r"`([a-z-]+)`", cell)}
    assert rights <= set(Right)


def test_every_parameter_of_a_search_is_documented(station: Station) -> None:
    described = station.get_local("/api/v1/openapi.json").json()["paths"]
    text = DOCS.read_text("utf-8")
    for path in ("/clips", "/dockings", "/recorders", "/handin", "/findings", "/clocks"):
        row = next(line for line in text.splitlines() if line.startswith(f"| `GET {path}` "))
        for parameter in described[path]["get"]["parameters"]:
            assert f"`{parameter['name']}`" in row, path
