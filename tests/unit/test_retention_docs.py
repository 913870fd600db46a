"""Every example of the custodian's guide is what the station does."""

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.catalog import Catalog, door, holds, intake, labels
from agent.clock import Stamp
from agent.config import RetentionConfig
from agent.model import SourceClip
from agent.retention.book import Book, take_over
from agent.retention.explain import Reading, explain
from tests.retaining import config
from tests.uploading import WHO, manifest_of

DOCS = Path(__file__).parents[2] / "docs"


def examples(name: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / name).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [yaml.safe_load(block) for block in blocks]


EXAMPLES = examples("retention.md")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Life:
    """One clip in a catalog, at the times of an example."""

    def __init__(self, catalog: Catalog, patch: pytest.MonkeyPatch, clip: dict[str, Any]) -> None:
        self.catalog, self.clip, self.at = catalog, clip, seconds(clip["docked"])
        patch.setattr("agent.catalog.door.stamp", lambda: Stamp(self.at, "boot", True))

    def live(self, rules: RetentionConfig) -> int:
        take_over(self.catalog, rules)
        number = self._stored()
        said: dict[str, str] = {name: self.clip[name] for name in ("case", "category") if name in self.clip}
        if said:
            self.catalog.write(lambda tx: labels.put(tx, number, said, {}))
        if self.clip.get("closed"):
            self.catalog.write(lambda tx: labels.case(tx, self.clip["case"], True, {}))
        if "hold" in self.clip:
            value = {"recorder": WHO.recorder}[self.clip["hold"]]
            self.catalog.write(lambda tx: holds.place(tx, {"scope": self.clip["hold"], "value": value}, {}))
        if "confirmed" in self.clip:
            self.at = seconds(self.clip["confirmed"])
            self.catalog.write(lambda tx: self._confirm(tx, number))
        return number

    def _stored(self) -> int:
        recorded = datetime.fromisoformat(self.clip["recorded"])
        marked = self.clip.get("marked", False)
        source = SourceClip("1", 1, 1, recorded_at=recorded, important=marked)

        def work(tx: Any) -> int:
            docking = intake.begin_docking(tx, "A1", WHO)
            [clip] = intake.see(tx, docking, WHO, [source])
            intake.start(tx, [clip], docking)
            intake.describe(tx, clip, manifest_of(b"x"), "key", b"samples")
            intake.store(tx, [clip])
            return clip

        return self.catalog.write(work)

    def _confirm(self, tx: Any, clip: int) -> None:
        states = ("stored", "uploading", "uploaded", "confirmed")
        for old, new in itertools.pairwise(states):
            door.change(tx, clip, old, new)  # type: ignore[arg-type]
        proved = seconds(self.clip.get("proved", self.clip["confirmed"]))
        tx.execute(
            "INSERT INTO deliveries (clip, target, state, token, updated, asked, proved)"
            " VALUES (?, 'centre', 'confirmed', '', 0, 1, ?)",
            (clip, proved),
        )


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog.open(tmp_path / "catalog.db")) as made:
        yield made


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["example"])
def test_an_example_is_what_the_station_does(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, example: dict[str, Any]
) -> None:
    clip = Life(catalog, monkeypatch, example["clip"]).live(config(**example.get("rules", {})))
    db, now = catalog.read(), seconds(example["now"])
    found = explain(db, clip, Book().keeping(db), now, True, ["centre"])
    assert found.began.by == example["counts from"]
    assert told(found) == {key: example[key] for key in ("centre", "here", "keeps it")}


def told(found: Reading) -> dict[str, Any]:
    return {
        **{
            key: {"until": when(kept.until), "rule": kept.by.name if kept.by else None}
            for key, kept in (("centre", found.centre), ("here", found.here))
        },
        "keeps it": [one.key for one in found.hinders],
    }


def when(at: float) -> str:
    return "for ever" if at == float("inf") else datetime.fromtimestamp(at).isoformat(timespec="minutes")


def test_there_are_enough_of_them() -> None:
    assert len(EXAMPLES) >= 8
