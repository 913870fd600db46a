"""What the READMEs and guides print is real: links, commands, options, files, configuration."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from agent.cli import app
from agent.config import Config, load

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TWINS = [
    (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    (ROOT / "docs/real-ports.md", ROOT / "docs/real-ports.zh-CN.md"),
    (ROOT / "docs/deploy.md", ROOT / "docs/deploy.zh-CN.md"),
    (ROOT / "docs/retention.md", ROOT / "docs/retention.zh-CN.md"),
    (ROOT / "docs/access.md", ROOT / "docs/access.zh-CN.md"),
    (ROOT / "docs/health.md", ROOT / "docs/health.zh-CN.md"),
    (ROOT / "docs/kiosk.md", ROOT / "docs/kiosk.zh-CN.md"),
    (ROOT / "docs/admin.md", ROOT / "docs/admin.zh-CN.md"),
]
BY_HAND = [guide for twins in TWINS[:2] for guide in twins]  # an image installs nothing
GUIDES = [guide for twins in TWINS[:3] for guide in twins]
OURS = re.compile(r"recorder-station |scripts/\w+( |$)")  # the bare name is no command
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
each_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks in `language`, without their comments: those are in the reader's own language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", document.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(r" *#.*", "", block) for block in found]


def commands(guide: Path) -> list[list[str]]:
    """Command lines of ours, from blocks and from inside sentences, in words."""
    prose = re.sub(r"^```.*?^```$", "", guide.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks(guide, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose)
    return [shlex.split(line) for line in lines if OURS.match(line)]


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_found_from_the_index() -> None:
    text = (ROOT / "docs/README.md").read_text("utf-8")
    assert set(re.findall(r"\]\(([\w.-]+\.md)\)", text)) == {
        path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"
    }


@each_guide
def test_every_command_in_a_guide_is_real(guide: Path) -> None:
    found = commands(guide)
    assert len(found) > 3
    for words in found:
        if words[0] == "recorder-station":
            is_a_command(words[1:])
        else:
            _is_a_script(ROOT / words[0], words[1:])


def is_a_command(words: list[str]) -> None:
    command: object = typer.main.get_command(app)
    while below := getattr(command, "commands", {}):
        assert words and words[0] in below, f"no command {words}"
        command, words = below[words[0]], words[1:]
    parameters = getattr(command, "params", [])
    taking = {option: parameter for parameter in parameters for option in parameter.opts}
    arguments = sum(parameter.param_type_name == "argument" for parameter in parameters)
    given = 0
    while words:
        word, *words = words
        if word.startswith("-"):
            assert word in taking, f"{command}: {word}"
            words = words if taking[word].is_flag else words[1:]
        else:
            given += 1
    assert given <= arguments, f"{command} takes {arguments} arguments"


def _is_a_script(script: Path, options: list[str]) -> None:
    assert script.stat().st_mode & 0o100, f"{script} cannot be executed"
    python = script.with_suffix(".py")
    source = (python if python.exists() else script).read_text("utf-8")
    for option in options:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", source), f"{script} knows no {option}"


@pytest.mark.parametrize("readme", TWINS[0], ids=lambda path: path.name)
def test_a_newcomer_finds_both_commands_in_the_readme(readme: Path) -> None:
    shown = [shlex.split(line) for block in blocks(readme, "sh") for line in block.splitlines()]
    for command in ("scripts/demo", "scripts/demo --once --json", "scripts/test", "scripts/test --all"):
        assert command.split() in shown


@pytest.mark.parametrize("guide", BY_HAND, ids=lambda path: path.name)
def test_what_a_guide_installs_is_there(guide: Path) -> None:
    installed = [
        shlex.split(line)[-2]
        for block in blocks(guide, "sh")
        for line in block.splitlines()
        if line.startswith("install ")
    ]
    assert installed == ["config/station.yaml"]
    assert [source for source in installed if not (ROOT / source).is_file()] == []


@each_guide
def test_every_configuration_in_a_guide_is_valid(guide: Path, tmp_path: Path) -> None:
    examples = blocks(guide, "yaml")
    assert examples
    for number, example in enumerate(examples):
        station = tmp_path / str(number) / "station.yaml"
        station.parent.mkdir()
        station.write_text(example, "utf-8")
        assert load(station) != Config()


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda path: path.name)
def test_the_chinese_twin_says_the_same(english: Path, chinese: Path) -> None:
    assert blocks(english, "sh") == blocks(chinese, "sh")
    assert _told_apart(blocks(english, "yaml")) == _told_apart(blocks(chinese, "yaml"))
    assert _shape(english) == _shape(chinese)


def _told_apart(examples: list[str]) -> list[str]:
    """What an example is called is in the reader's own language."""
    return [re.sub(r"^example: .*$", "", one, flags=re.MULTILINE) for one in examples]


def _shape(document: Path) -> list[str]:
    """Headings, table rows and list items, as far as they are the same in every language."""
    return re.findall(r"^(?:#+ |\| |- )", document.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("readme", TWINS[0], ids=lambda path: path.name)
def test_the_readme_shows_every_room(readme: Path) -> None:
    listed = set(re.findall(r"\[(agent/\w+)/\]", readme.read_text("utf-8")))
    assert listed == {str(path.parent.relative_to(ROOT)) for path in rooms()}


def rooms() -> Iterator[Path]:
    return (ROOT / "agent").glob("*/__init__.py")


@pytest.mark.parametrize("guide", TWINS[1], ids=lambda path: path.name)
def test_the_guide_speaks_of_the_tag_that_rule_and_agent_share(guide: Path) -> None:
    tag = Config().dock.tag
    assert f'TAG+="{tag}"' in (ROOT / "systemd/udev/60-recorder-station.rules").read_text("utf-8")
    assert f'TAG-="{tag}"' in guide.read_text("utf-8")
