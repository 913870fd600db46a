"""Kinds of values that more than one section has, and what a section is."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from agent.model import printable


def clean(text: str) -> str:
    if printable(text) != text or text != text.strip():
        raise ValueError("may not have control characters, nor spaces at its ends")
    return text


def _absolute(value: object) -> Path:
    text = str(value) if isinstance(value, str | Path) else ""
    if not text.startswith("/") or printable(text) != text:
        raise ValueError("should be an absolute path such as `/srv/recorder-station`")
    return Path(text)


def _beside(value: object) -> Path:
    text = str(value) if isinstance(value, str | Path) else ""
    if not text or text.endswith("/") or printable(text) != text:
        raise ValueError("should be a file such as `roster.csv`, beside station.yaml or with its whole path")
    return Path(text)


def section(value: Any) -> Any:
    return {} if value is None else value


def nullable(schema: dict[str, Any]) -> None:
    schema["type"] = ["object", "null"]


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(clean)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(clean)]
AbsolutePath = Annotated[
    Path, BeforeValidator(_absolute), WithJsonSchema({"type": "string", "format": "path", "pattern": "^/"})
]

#: Of a file; a relative one begins at the folder of station.yaml.
FilePath = Annotated[
    Path, BeforeValidator(_beside), WithJsonSchema({"type": "string", "format": "path", "minLength": 1})
]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, json_schema_extra=nullable)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        return section(value)
