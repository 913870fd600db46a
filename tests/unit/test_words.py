"""Both languages say the same, for every key that the house can speak of, whatever stands in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import errors
from agent.access.roles import Role
from agent.model import ClipState, DeliveryState, Step, printable
from agent.status.health import Severity
from agent.web.sentences import OF_PAGE
from agent.words import LANGUAGES, fill, language_of, sentence, word, words
from agent.words.shown import duration, size

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"\{(\w+(?::\w+)?)\}")
SECTIONS = {
    "slots", "clips", "problems", "doctor", "page", "severity", "update", "certificate", "target",
    "check", "upload", "audit", "witness", "clocks", "sample", "findings", "export", "report", "clip",
    "deliveries", "events", "order", "retention", "handin", "centre",
    "scrub", "access", "remedies", "support", "kiosk", "admin",
}  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=5
)


def flat(language: str) -> dict[tuple[str, str], str]:
    return {
        (section, key): text for section, entries in words(language).items() for key, text in entries.items()
    }


def test_both_languages_have_the_same_keys() -> None:
    assert set(words("en")) == set(words("zh")) == SECTIONS
    assert set(flat("en")) == set(flat("zh"))


def test_both_languages_tell_the_same_facts() -> None:
    english, chinese = flat("en"), flat("zh")
    different = {
        key: (text, chinese[key])
        for key, text in english.items()
        if sorted(PLACE.findall(text)) != sorted(PLACE.findall(chinese[key]))
    }
    assert not different


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_text_with_sound_places(language: str) -> None:
    for key, text in flat(language).items():
        assert isinstance(text, str), key
        assert text == text.strip() != "", key
        assert not re.search(r"[{}]", PLACE.sub("", text)), key
        assert {place.partition(":")[2] for place in PLACE.findall(text)} <= {"", "size", "duration"}, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_file_names_a_word_twice(language: str) -> None:
    section, seen = "", set()
    for line in (ROOT / "agent" / "words" / f"{language}.yaml").read_text().splitlines():
        if found := re.match(r"( *)([\w-]+):", line):
            section = section if found[1] else found[2]
            assert (section, found[0]) not in seen, line
            seen.add((section, found[0]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_has_a_word(language: str) -> None:
    assert set(words(language)["slots"]) == set(Step)
    assert set(words(language)["clips"]) == set(ClipState)
    assert set(Severity) <= set(words(language)["severity"])


def _speakers() -> set[str]:
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.StationError)
    }
    return (found - {"ConfigError"}) | {"Problem", "Issue", "problem"}


def _own_key(node: ast.ClassDef) -> Iterator[str]:
    """`key = "..."` in the body of an error's class."""
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "key":
            yield str(ast.literal_eval(line.value))


def spoken_keys() -> Iterator[tuple[str, str]]:
    """(key, where) of every literal key that the sources give to an error, a problem or an issue."""
    speakers = _speakers()
    for path in [*(ROOT / "agent").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield from ((key, f"{path.relative_to(ROOT)}:{node.lineno}") for key in _own_key(node))
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            first = node.args[0]
            if name in speakers and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_key_in_the_sources_has_a_sentence() -> None:
    spoken = dict(spoken_keys())
    assert {"pulled-early", "bad-parameter", "disk-low", "no-agent", "target-full"} <= set(spoken)
    assert {key: where for key, where in spoken.items() if key not in words("en")["problems"]} == {}


def test_everything_that_can_happen_to_a_clip_is_told_in_words() -> None:
    told, kinds = words("en")["events"], {"rebuilt", "exported", "sample-drawn", *map(str, ClipState)}
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] != "note":
                continue
            if len(node.args) == 4 and isinstance(node.args[1], ast.Constant):
                about = node.args[2]
                if not (isinstance(about, ast.Constant) and about.value is None):
                    kinds.add(str(node.args[1].value))
    assert {"viewed", "inspected", "delivered", "important"} <= kinds
    assert kinds - set(told) == set()
    assert set(words("en")["deliveries"]) == set(DeliveryState)


def test_every_word_that_screen_and_commands_ask_for_is_there() -> None:
    sources = [*(ROOT / "agent" / "web" / "static").rglob("*.js"), *(ROOT / "agent" / "cli").glob("*.py")]
    text = "".join(source.read_text() for source in sources)
    asked = set(re.findall(r'(?:word|tell)\((?:words, )?"(\w+)", "(\w+)"', text))
    assert len(asked) > 10
    assert asked <= set(flat("en"))
    kiosk = "".join(source.read_text() for source in (ROOT / "agent" / "web" / "static").glob("*.js"))
    said = set(re.findall(r'word\((?:words, )"(\w+)"', kiosk))
    assert {"kiosk", "page", "slots"} <= said <= OF_PAGE["kiosk"]


#: Words of the admin page that its scripts put together.
MADE = re.compile(r"(scope|what|outcome)-[\w-]+|up|down|yes|no")


def test_the_admin_page_asks_for_every_word_of_its_own_and_for_no_other() -> None:
    scripts = (ROOT / "agent" / "web" / "static" / "admin").glob("*.js")
    text = "".join(script.read_text() for script in scripts)
    asked = set(re.findall(r'\b(?:say|text|short|moment|choice)\("([\w-]+)"', text))
    views = set(re.findall(r"^  (\w+): \(\) => may", text, re.MULTILINE))
    known = set(words("en")["admin"])
    assert (asked | views | set(Role)) - known == set()
    assert {word for word in known - asked - views - set(Role) if not MADE.fullmatch(word)} == set()
    others = set(re.findall(r'\bof\("([\w-]+)", "([\w-]+)"', text))
    assert len(others) > 30 and others <= set(flat("en"))
    sections = {section for section, _ in others} | set(re.findall(r'\bstate\.words(?:, "|\.)(\w+)', text))
    assert {"admin", "clips", "remedies", "events"} <= sections <= OF_PAGE["admin"]


def test_a_missing_word_shows_its_key_and_a_missing_parameter_a_question_mark() -> None:
    assert sentence("nobody-knows", {"n": 3, "path": "a\nb"}, "en") == "nobody-knows (n=3, path=a\\nb)"
    assert sentence("nobody-knows", {}, "zh") == "nobody-knows"
    assert sentence("disk-low", {"free": 1 << 30}, "en").endswith("1.0 GiB of ? left.")
    assert word("slots", "nobody-knows", "en") == "nobody-knows"
    assert sentence("no-target", {}, "de") == sentence("no-target", {}, "en")


def test_what_a_recorder_calls_itself_is_never_read_as_a_template() -> None:
    assert fill("{a} {b}", {"a": "{b}", "b": "{a}"}) == "{b} {a}"
    shown = sentence("unreadable", {"path": "\u202egpj.exe\n", "bytes": 5}, "en")
    assert "\u202e" not in shown
    assert "\n" not in shown


@given(st.sampled_from(sorted(words("en")["problems"])) | st.text(), st.dictionaries(st.text(), anything))
def test_a_sentence_never_raises_and_is_always_printable(key: str, params: dict[str, Any]) -> None:
    for language in LANGUAGES:
        shown = sentence(key, params, language)
        assert printable(shown) == shown


@given(anything)
def test_figures_never_raise(given_value: Any) -> None:
    assert isinstance(size(given_value), str)
    assert isinstance(duration(given_value), str)


def test_figures_read_as_people_read_them() -> None:
    assert [size(n) for n in (0, 1023, 1536, 5 << 20, 3 << 30, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 GiB",
        "5.0 TiB",
    ]
    assert [duration(n) for n in (0, 59.4, 59.6, 185, 7380, 86400 * 3, -90)] == [
        "0 s",
        "59 s",
        "1:00 min",
        "3:05 min",
        "2:03 h",
        "3 d",
        "-1:30 min",
    ]


def test_a_locale_names_a_language_only_when_we_speak_it() -> None:
    assert [language_of(name) for name in ("zh_CN.UTF-8", "en", "EN_us", "de_DE", "C.UTF-8", "")] == [
        "zh",
        "en",
        "en",
        None,
        None,
        None,
    ]
