"""Which configuration was in force when is an entry; what is secret in it is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog
from agent.config import Config
from agent.custody.log import configured

VERSION = "1.0"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog.open(tmp_path / "catalog.db")
    yield made
    made.close()


def entries(catalog: Catalog) -> list[dict[str, Any]]:
    rows = catalog.read().execute("SELECT body FROM events WHERE kind = 'configured' ORDER BY seq")
    return [json.loads(row[0]) for row in rows]


def config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def test_an_entry_names_what_changed_and_there_is_none_when_nothing_did(catalog: Catalog) -> None:
    assert configured.note(catalog, VERSION, config())
    assert not configured.note(catalog, VERSION, config())
    folder = {"kind": "folder", "path": "/srv/centre"}
    assert configured.note(catalog, VERSION, config(targets={"centre": folder}, upload={"uploaders": 3}))
    assert configured.note(catalog, VERSION, config(upload={"uploaders": 3}))
    assert configured.note(catalog, VERSION, config())
    first, second, third, last = entries(catalog)
    assert first["changed"] == []
    assert {"targets.centre.path", "upload.uploaders"} <= set(second["changed"])
    assert "upload.uploaders" not in third["changed"]
    assert last["changed"] == ["upload.uploaders"]
    assert last["sha256"] == first["sha256"] != second["sha256"]


def test_a_new_version_of_the_agent_is_an_entry(catalog: Catalog) -> None:
    configured.note(catalog, VERSION, config())
    assert configured.note(catalog, "99.0", config())
    assert [entry["version"] for entry in entries(catalog)] == [VERSION, "99.0"]


def test_no_value_is_told(catalog: Catalog) -> None:
    s3 = {
        "kind": "s3",
        "url": "https://s3.example",
        "bucket": "clips",
        "credentials": "/etc/keys",
        "proxy": "http://hush.example:1",
    }
    configured.note(catalog, VERSION, config())
    configured.note(catalog, VERSION, config(targets={"centre": s3}))
    kept = json.dumps(entries(catalog)) + "".join(
        row[0] for row in catalog.read().execute("SELECT value FROM meta")
    )
    assert "targets.centre.proxy" in kept
    assert "hush" not in kept


def test_an_entry_stays_small_however_much_changes(catalog: Catalog) -> None:
    configured.note(catalog, VERSION, config())
    many = {f"t{number}": {"kind": "folder", "path": f"/srv/{number}"} for number in range(100)}
    configured.note(catalog, VERSION, config(targets=many))
    entry = entries(catalog)[-1]
    assert len(entry["changed"]) == 64 < entry["count"]
