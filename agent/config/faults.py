"""What pydantic found, in the operator's words and with the file and line that said it."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from agent.config.documents import Fault, Mark, Place
from agent.config.retention import UNSOUND

#: These say that something is not there, which another layer may supply.
INCOMPLETE = frozenset({"missing", "union_tag_not_found", UNSOUND})

_SENTENCES = {
    "bool_type": "should be `true` or `false`",
    "int_type": "should be a whole number",
    "string_type": "should be text",
    "dict_type": "should be `key: value` lines",
    "model_type": "should be `key: value` lines",
    "model_attributes_type": "should be `key: value` lines",
    "literal_error": "should be {expected}",
    "union_tag_invalid": "should be {expected_tags}",
    "list_type": "should be a list, such as `[a, b]`",
    "too_long": "should have at most {max_length} entries",
    "greater_than": "should be more than {gt:g}",
    "greater_than_equal": "should be at least {ge:g}",
    "less_than_equal": "should be at most {le:g}",
    "string_too_short": "may not be empty",
    "string_too_long": "is too long: at most {max_length} characters",
    "string_pattern_mismatch": "should match {pattern}",
    "value_error": "{error}",
    UNSOUND: "{error}",
}
_WANT_MAPPING = ("dict_type", "model_type", "model_attributes_type")


def explain(error: ErrorDetails, model: type[BaseModel], marks: Mapping[Place, Mark]) -> Iterator[Fault]:
    """The fault; none when the value that is missing was refused before, which has its own fault."""
    place, siblings = locate(model, error["loc"])
    if error["type"] == "extra_forbidden":
        yield _fault(place, _unknown(str(place[-1]), siblings), marks, name=False)
    elif error["type"] == "missing":
        if place not in marks:
            yield _fault(place, "is missing", marks)
    elif error["type"] == "union_tag_not_found":
        yield _fault((*place, "kind"), "is missing", marks)
    elif error["type"] == "union_tag_invalid":
        yield _fault((*place, "kind"), _sentence(error), marks)
    else:
        mark = _mark(place, marks)
        yield _fault(place, _sentence(error) + _hint(error, mark), marks)


def locate(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[Place, list[str]]:
    """The place in the data that pydantic's `loc` means, and the keys known there beside the last one.

    `loc` also holds what is not in the data: the tag of a union's member, `[key]` for a key itself."""
    kind: Any = model
    place: list[str | int] = []
    siblings: list[str] = []
    for step in loc[:-1] if loc[-1:] == ("[key]",) else loc:
        kind = _bare(kind)
        if _is_union_of_models(kind):
            kind = next(m for m in typing.get_args(kind) if step in _tags(m))
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            siblings = list(kind.model_fields)
            known = kind.model_fields.get(str(step))
            kind = known.annotation if known else None
            place.append(step)
        elif typing.get_origin(kind) is dict:
            siblings = []
            kind = typing.get_args(kind)[1]
            place.append(step)
    return tuple(place), siblings


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _is_union_of_models(kind: Any) -> bool:
    return typing.get_origin(kind) in (types.UnionType, typing.Union) and all(
        isinstance(member, type) and issubclass(member, BaseModel) for member in typing.get_args(kind)
    )


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    return typing.get_args(model.model_fields["kind"].annotation)


def _unknown(key: str, siblings: list[str]) -> str:
    close = difflib.get_close_matches(key[:100], siblings, n=1)
    if close:
        return f"`{key}`: did you mean `{close[0]}`?"
    return f"`{key}` is not known here; known are {', '.join(f'`{k}`' for k in siblings)}"


def _sentence(error: ErrorDetails) -> str:
    template = _SENTENCES.get(error["type"])
    return template.format(**error.get("ctx", {})) if template else error["msg"]


def _hint(error: ErrorDetails, mark: Mark | None) -> str:
    value = error["input"]
    if error["type"] in _WANT_MAPPING:
        if isinstance(value, str) and ":" in value:
            return " (is the space after a colon missing?)"
        return ", not a list" if isinstance(value, list) else ""
    if value is None:
        return ", but there is no value"
    if isinstance(value, dict | list):
        return f", not {'a list' if isinstance(value, list) else 'a section'}"
    if mark and mark.text is not None and error["type"] in ("string_type", "literal_error"):
        read = str(value).lower() if isinstance(value, bool) else "a number"
        return f"; YAML reads `{mark.text}` as {read}: put it in quotes"
    return ""


def _mark(place: Place, marks: Mapping[Place, Mark]) -> Mark | None:
    return next((marks[place[:n]] for n in range(len(place), 0, -1) if place[:n] in marks), None)


def _fault(place: Place, message: str, marks: Mapping[Place, Mark], name: bool = True) -> Fault:
    mark = _mark(place, marks) or Mark(Path("defaults"), 1)
    shown = ".".join(map(str, place))
    return Fault(mark.file, mark.line, f"`{shown}` {message}" if name and shown else message)
