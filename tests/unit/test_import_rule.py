"""The floors of the house: which room may import which, and how large a file may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST_FILE = 600  # lines

GROUND = {"agent.model", "agent.errors", "agent.clock", "agent.durable", "agent.booted"}
INTERFACE = {"agent.model", "agent.errors"}
STAGE = GROUND | {"agent.config", "agent.catalog"}

#: Room → what of the project it may import besides itself. A name stands for all below it, and the longest
#: name that fits a module is its room.
RULES: dict[str, set[str]] = {
    "agent": set(),  # the package's own __init__: everyone imports it
    "agent.model": GROUND,
    "agent.errors": GROUND,
    "agent.clock": GROUND,
    "agent.durable": GROUND,
    "agent.booted": GROUND,
    "drivers": INTERFACE,
    "agent.upload.targets": INTERFACE,
    "agent.privileged": set(),
    "agent.config": GROUND,
    "agent.catalog": GROUND,
    "agent.words": GROUND,
    "agent.supervise": GROUND,
    "agent.lock": GROUND,
    "agent.dock": STAGE | {"drivers", "agent.privileged"},
    "agent.ingest": STAGE | {"drivers.base"},
    "agent.upload": STAGE,
    "agent.custody": STAGE,
    "agent.custody.verifier": set(),  # goes into the hands of a court as it is
    "agent.custody.verdict": {"agent.custody.verifier"},  # and so do these, behind it in one file
    "agent.custody.box": {"agent.custody.verifier"},
    "agent.custody.anchors": {"agent.custody.verifier", "agent.custody.verdict"},
    "agent.custody.handed": {"agent.custody.verifier", "agent.custody.verdict"},
    "agent.custody.ordered": {"agent.custody.verifier", "agent.custody.handed"},
    "agent.custody.package": {
        f"agent.custody.{name}"
        for name in ("verifier", "verdict", "box", "anchors", "handed", "ordered", "national")
    },
    "agent.retention": STAGE,
    "agent.archive": STAGE
    | {
        "agent.retention.book",
        "agent.retention.decide",
        "agent.retention.keeping",
        "agent.retention.rules",
        "agent.upload.targets",
    },
    "agent.access": STAGE,
    "agent.status": STAGE | {"agent.words"},
    "agent.web": GROUND
    | {"agent.config", "agent.words", "agent.status", "agent.access"}
    | {f"agent.catalog.{name}" for name in ("queries", "search", "listing")},
    "agent.image": GROUND | {"agent.config"},
    "agent.kiosk": set(),  # runs beside the agent, as somebody else
    "agent.support": STAGE | {"agent", "agent.custody.log", "agent.dock.hubs"},
    "agent.cli": {"agent", "drivers"},
    "agent.app": {"agent", "drivers"},
    "agent.checks": {"agent"},
    "agent.surfaces": {"agent"},
}
#: Only these may import the modules that know all others.
APP = {"agent.app": {"agent.cli.run"}, "agent.checks": {"agent.app"}, "agent.surfaces": {"agent.app"}}
#: What would cost the daemon megabytes stays in the commands.
HEAVY = {"typer": "agent.cli", "rich": "agent.cli"}
UNKNOWN = "what only its run will tell"
VERIFIER = {
    f"agent.custody.{name}"
    for name in ("verifier", "verdict", "box", "anchors", "handed", "ordered", "national", "package")
}
STANDARD_LIBRARY_ONLY = GROUND | {"agent.privileged", "agent.kiosk"} | VERIFIER


def within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def room_of(module: str) -> str:
    """Raises LookupError for a module that no rule speaks of."""
    rooms = [room for room in RULES if within(module, {room}) and (room != "agent" or module == room)]
    if not rooms:
        raise LookupError(f"{module} is a new room: say in RULES what it may import")
    return max(rooms, key=len)


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(path.relative_to(ROOT)): path
    for top in ("agent", "drivers")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def imports(source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, module) of everything that `source` imports, wherever it stands in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[
                    : None if is_package and node.level == 1 else is_package - node.level
                ]
                base = ".".join([*above, base]).strip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if whole in MODULES or whole in RULES else base
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)
            else:
                yield node.lineno, UNKNOWN


def refusal(module: str, imported: str) -> str:
    """Why `module` may not import `imported`; "" when it may."""
    room = room_of(module)
    if imported == UNKNOWN:
        return "no rule can judge that"
    if not within(imported, {"agent", "drivers"}):
        top = imported.split(".")[0]
        if within(module, STANDARD_LIBRARY_ONLY) and top not in sys.stdlib_module_names:
            return f"{room} keeps to the standard library"
        if not within(module, {HEAVY.get(top, module)}):
            return f"only {HEAVY[top]} may"
        return ""
    if imported in APP and module not in APP[imported]:
        return f"only {', '.join(APP[imported])} may"
    return "" if within(imported, RULES[room] | {room}) else f"{room} may import {sorted(RULES[room])}"


def breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    return [
        f"{module}:{line} imports {imported}: {why}"
        for line, imported in imports(source, module, is_package)
        if (why := refusal(module, imported))
    ]


def test_no_room_imports_what_its_floor_forbids() -> None:
    found = [
        breach
        for module, path in MODULES.items()
        for breach in breaches(path.read_text(), module, path.name == "__init__.py")
    ]
    assert MODULES
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_why_it_is_there_and_stays_small(module: str) -> None:
    source = MODULES[module].read_text()
    assert ast.get_docstring(ast.parse(source)) or not source.strip(), f"{module} has no docstring"
    assert source.count("\n") <= LARGEST_FILE


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("drivers.simulated", "from agent.catalog import queries"),
        ("drivers.simulated", "import agent.clock"),
        ("agent.upload.targets.s3", "from agent.upload import scheduler"),
        ("agent.upload.targets.s3", "from .. import scheduler"),
        ("agent.upload.targets.s3", "from ...catalog.queries import pending"),
        ("agent.ingest.copy", "def late():\n    import agent.upload.scheduler"),
        ("agent.ingest.copy", "import drivers.simulated"),
        ("agent.upload.scheduler", "from agent.ingest.store import Store"),
        ("agent.dock.slots", "from importlib import import_module\nimport_module('agent.ingest.copy')"),
        ("agent.dock.slots", "import importlib\nimportlib.import_module(name)"),
        ("agent.catalog.door", "from agent.config import Config"),
        ("agent.model", "from agent.config import Config"),
        ("agent.web.app", "from agent.catalog import door"),
        ("agent.web.app", "from agent.ingest.store import Store"),
        ("agent.web.app", "from rich.table import Table"),
        ("agent.status.snapshot", "from agent import app"),
        ("agent.cli.status", "import agent.app"),
        ("agent.web.app", "from agent.checks import board"),
        ("agent.privileged.helper", "import yaml"),
        ("agent.privileged.helper", "from agent.model import Device"),
        ("agent.custody.verifier", "from cryptography.exceptions import InvalidSignature"),
        ("agent.custody.verifier", "from agent.custody.log.tiles import root"),
        ("agent.custody.package", "from agent.custody.log.leaf import entry"),
        ("agent.custody.package", "import rfc8785"),
        ("agent.archive.expire", "from agent.retention.release import Release"),
        ("agent.upload.worker", "from agent.archive.store import Store"),
        ("agent.custody.anchors", "from agent.custody.package import check"),
    ],
)
def test_the_rule_sees_a_breach(module: str, source: str) -> None:
    assert len(breaches(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("drivers.simulated", "import os\nfrom agent.model import Device\nfrom .base import Session"),
        ("agent.upload.worker", "from agent.catalog import door\nfrom .targets.folder import FolderTarget"),
        (
            "agent.dock.slots",
            "from drivers.registry import choose\nfrom agent.privileged.client import Client",
        ),
        ("agent.ingest.copy", "from drivers.base import Session"),
        ("agent.cli.run", "from agent.app import App\nimport typer"),
        ("agent.web.app", "from agent.catalog.queries import counts\nfrom starlette.routing import Route"),
    ],
)
def test_the_rule_lets_the_house_be_built(module: str, source: str) -> None:
    assert breaches(source, module) == []


def test_a_new_room_needs_a_rule() -> None:
    with pytest.raises(LookupError, match="new room"):
        room_of("agent.attic.box")
