"""A station with clips to export, and what its packages are asked."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.catalog import beside
from agent.cli.export import both
from agent.custody import package
from agent.custody.evidence import export, exported
from agent.custody.evidence.export import Asked
from agent.custody.log import opening
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from agent.custody.package import MANIFEST, TAGS, manifest
from agent.custody.texts import Texts
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
FILES = {NAME.format(number): 3000 + number for number in range(1, 4)}
ASKED = Asked("王伟", "一审 first instance", "(2026)01-17", officer="000001")


class Exporting:
    """A station with three clips of one recorder and one of another."""

    def __init__(self, root: Path, sm3: bool = False) -> None:
        self.root, self.side = root, Dockside(root / "station", sm3=sm3)
        self.store = self.side.store.root
        self.side.dock(recorder(root / "rec", FILES))
        self.side.dock(recorder(root / "other", {"DCIM/7777777_000002_20260101130000_0001.mp4": 900}))
        self.command = exported.commands(self.side.catalog, Texts(self.store))["export"]
        self.log()

    def log(self) -> Log:
        keeper = Keeper(self.side.catalog, self.store / "custody", STATION)
        while keeper.step():
            pass
        return Log(self.store / "custody" / opening.number_in(self.side.catalog.read()))

    def plan(self, asked: Asked = ASKED) -> export.Plan:
        return self.plan_of(self.log(), asked)

    def plan_of(self, log: Log, asked: Asked = ASKED) -> export.Plan:
        with beside.reading(self.store) as db:
            return export.plan(db, self.store, log.origin, asked, both)

    def order(self, plan: export.Plan, asked: Asked = ASKED, **other: str) -> Mapping[str, Any]:
        clips = ",".join(str(one.id) for one in plan.clips)
        said = {"clips": clips, "person": asked.name, "reason": asked.reason, "case": asked.case}
        return self.command({**said, "contents": plan.contents, **other}, "uid 7")

    def export(self, name: str = "bag", asked: Asked = ASKED) -> Path:
        plan, to = self.plan(asked), self.root / name
        export.write(plan, asked, self.log, self.store, to, self.order(plan, asked))
        return to

    @property
    def vkey(self) -> str:
        return (self.store / "custody" / "key.pub").read_text().strip()


def wrong(bag: Path, key: str | None = None) -> list[str]:
    return [said.en for said in package.check(str(bag), key) if not said.holds]


def run(bag: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With nothing but Python itself."""
    command = [sys.executable, "-I", "-S", str(bag / "data" / "verify.py"), str(bag), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", cwd="/", timeout=60, check=False)


def remade(bag: Path) -> None:
    """What somebody does who alters a package and knows BagIt: both manifests fit again."""
    (bag / MANIFEST).unlink()
    found = {path: package.digest_of(f"{bag}/{path}")[0] for path, _ in package.walk(str(bag))}
    (bag / MANIFEST).write_bytes(manifest({path: found[path] for path in found if path.startswith("data/")}))
    tags = [tag.name for tag in bag.iterdir() if tag.is_file() and tag.name != TAGS]
    (bag / TAGS).write_bytes(manifest({tag: package.digest_of(f"{bag}/{tag}")[0] for tag in tags}))
