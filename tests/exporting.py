"""A station with clips to export, and what its packages are asked."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import beside
from agent.cli.export import both
from agent.custody import box, package
from agent.custody.evidence import export, exported
from agent.custody.evidence.export import Asked, Plan
from agent.custody.evidence.gathering import Fetch, Gathered, gather
from agent.custody.evidence.packing import packing
from agent.custody.log import opening
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from agent.custody.package import MANIFEST, TAGS, manifest
from agent.custody.texts import Texts
from agent.model import Problem
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
FILES = {NAME.format(number): 3000 + number for number in range(1, 4)}
WHO = "uid 7"
NOWHERE: Fetch = lambda clip, put: [Problem("export-no-target")]  # noqa: E731
ASKED = Asked("王伟", "一审 first instance", "(2026)01-17", officer="000001")


class Exporting:
    """A station with three clips of one recorder and one of another."""

    def __init__(self, root: Path, sm3: bool = False) -> None:
        self.root, self.side = root, Dockside(root / "station", sm3=sm3)
        self.store = self.side.store.root
        self.side.dock(recorder(root / "rec", FILES))
        self.side.dock(recorder(root / "other", {"DCIM/7777777_000002_20260101130000_0001.mp4": 900}))
        self.answer: Mapping[str, Any] = {}
        self.commands = exported.commands(self.side.catalog, Texts(self.store))
        self.log()

    def log(self) -> Log:
        keeper = Keeper(self.side.catalog, self.store / "custody", STATION)
        while keeper.step():
            pass
        return Log(self.store / "custody" / opening.number_in(self.side.catalog.read()))

    def plan(self, asked: Asked = ASKED) -> Plan:
        return self.plan_of(self.log(), asked)

    def everything(self, asked: Asked = ASKED) -> Gathered:
        """As if it had been found in the store; nothing of it is packed yet."""
        with beside.reading(self.store) as db:
            return Gathered(tuple(one.id for one in export.choose(db, asked)))

    def plan_of(self, log: Log, asked: Asked = ASKED) -> Plan:
        found = self.everything(asked)
        return self.plan_with(log, found, self.ask(found.clips, asked), asked)

    def plan_with(self, log: Log, gathered: Gathered, ask: int, asked: Asked = ASKED) -> Plan:
        with beside.reading(self.store) as db:
            return export.plan(db, self.store, log.origin, asked, gathered, ask, both)

    def ask(self, ids: Iterable[int], asked: Asked = ASKED, who: str = WHO, **other: str) -> int:
        said = {"person": asked.name, "reason": asked.reason, "case": asked.case}
        numbers = ",".join(map(str, ids))
        return int(self.commands["export-ask"]({**said, "clips": numbers, **other}, who)["asked"])

    def order(self, plan: Plan, **other: str) -> Mapping[str, Any]:
        clips = ",".join(str(one.id) for one in plan.clips)
        said = {"asked": str(plan.asked), "clips": clips, "contents": plan.contents}
        return self.commands["export"]({**said, **other}, WHO)

    def export(self, name: str = "bag", asked: Asked = ASKED) -> Path:
        """A zip file when `name` is that of one."""
        return self.write(self.plan(asked), name, asked)

    def write(self, plan: Plan, name: str = "bag", asked: Asked = ASKED) -> Path:
        to = self.root / name
        with beside.reading(self.store) as db:
            sm3 = export.wants_sm3(db, plan.clips)
        with packing(to, sm3=sm3) as pack:
            export.write(plan, asked, self.log, self.store, pack, self.order(plan))
        return to

    def gathered(self, fetch: Fetch = NOWHERE, name: str = "bag", asked: Asked = ASKED) -> Path:
        """As the command makes it: the clips first."""
        to = self.root / name
        with beside.reading(self.store) as db, packing(to) as pack:
            clips = export.choose(db, asked)
            ask = self.ask([one.id for one in clips], asked)
            self.found = gather(clips, self.store, pack, fetch)
            plan = self.plan_with(self.log(), self.found, ask, asked)
            export.write(plan, asked, self.log, self.store, pack, self.order(plan))
        return to

    @property
    def vkey(self) -> str:
        return (self.store / "custody" / "key.pub").read_text().strip()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Exporting]:
    made = Exporting(tmp_path)
    yield made
    made.side.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str]]:
    """Two packages of two stations, and the key of the first."""
    first, second = (Exporting(tmp_path_factory.mktemp(name)) for name in ("first", "second"))
    yield first.export(), second.export(), first.vkey
    first.side.close()
    second.side.close()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wrong(bag: Path, key: str | None = None) -> list[str]:
    """What the verifier says that does not hold, in English."""
    return [said.en for said in package.check(str(bag), key) if not said.holds]


def run(bag: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With nothing but Python itself; of a zip file, with a verifier from elsewhere."""
    verifier = bag / "data" / "verify.py"
    if bag.is_file():
        verifier = bag.with_name("verify.py")
        verifier.write_bytes(export.verifier_file())
    command = [sys.executable, "-I", "-S", str(verifier), str(bag), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", cwd="/", timeout=60, check=False)


def remade(bag: Path) -> None:
    """What somebody does who alters a package and knows BagIt: both manifests fit again."""
    (bag / MANIFEST).unlink()
    found = {path: sha256(bag / path) for path, _ in box.walk(str(bag))}
    (bag / MANIFEST).write_bytes(manifest({path: found[path] for path in found if path.startswith("data/")}))
    tags = [tag.name for tag in bag.iterdir() if tag.is_file() and tag.name != TAGS]
    (bag / TAGS).write_bytes(manifest({tag: sha256(bag / tag) for tag in tags}))
