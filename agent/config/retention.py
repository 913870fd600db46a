"""How long recordings are kept: classes with their periods, and the rules that give them.

Every station has the classes and rules below; a configuration changes the periods of these classes and adds
classes and rules of its own. It can take none away: where several rules match, the longest wins.
"""

import difflib
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from agent.config.kinds import Name, Section, nullable, section
from agent.config.units import PERMANENT, WITH_CASE, Duration, Keep, Period

SOURCES = ("recorder", "camera", "interview-room")
UNSOUND = "rules_unsound"
_DAY = 86400.0
_FORMER = ("ordinary", "important")
_MOST = 200  # rules; each clip is held against each


def _long_enough(period: float | str) -> float | str:
    if isinstance(period, float) and period < _DAY:
        raise ValueError("should be at least `1 days`")
    return period


def _listed(value: object) -> object:
    """One name may stand without brackets."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[Name], BeforeValidator(_listed), Field(max_length=100)]


Centre = Annotated[Keep, AfterValidator(_long_enough)]


class RetentionClass(Section):
    centre: Centre = Field(description="How long the centre must keep a clip, from its recording on.")
    local: Period = Field(
        default=30 * _DAY,
        description="How long the station keeps its own copy after the centre has confirmed the clip.",
    )

    @property
    def with_case(self) -> bool:
        return self.centre == WITH_CASE

    @property
    def seconds(self) -> float:
        """At the centre; without end for what is kept with its case."""
        return self.centre if isinstance(self.centre, float) else math.inf


class RetentionRule(Section):
    gives: Name = Field(description="The class that it gives.")
    important: bool | None = Field(default=None, description="Only clips that are important, or only others.")
    category: Names = Field(default=[], description="Only clips of one of these categories.")
    unit: Names = Field(default=[], description="Only clips of officers of one of these units.")
    source: Annotated[
        list[Literal["recorder", "camera", "interview-room"]], BeforeValidator(_listed), Field(max_length=3)
    ] = Field(default=[], description="Only recordings of one of these kinds of source.")
    case: Names = Field(
        default=[], description="Only clips with such a case number; `*` stands for anything."
    )
    older_than: Duration = Field(
        default=0.0, description="It begins to protect only when the recording is so old."
    )

    @property
    def conditions(self) -> tuple[Any, ...]:
        lists = (self.category, self.unit, self.source, self.case)
        return (self.important, *(frozenset(each) for each in lists), self.older_than)


SHIPPED_CLASSES = {
    "ordinary": RetentionClass(centre=183 * _DAY),
    "important": RetentionClass(centre=PERMANENT),
    "case": RetentionClass(centre=WITH_CASE),  # type: ignore[arg-type]
}
SHIPPED_RULES = {
    "ordinary": RetentionRule(gives="ordinary"),
    "important": RetentionRule(gives="important", important=True),
    "case": RetentionRule(gives="case", case=["*"]),
}


def _with_shipped(value: Any) -> Any:
    """A class that every station has keeps of its periods what a file does not say."""
    if not isinstance(value, dict):
        return value
    shipped = {name: kept.model_dump(mode="json") for name, kept in SHIPPED_CLASSES.items()}
    return {
        name: {**shipped[name], **(given or {})}
        if name in shipped and (given is None or isinstance(given, dict))
        else given
        for name, given in value.items()
    }


class RetentionConfig(Section):
    classes: Annotated[
        dict[Name, RetentionClass], BeforeValidator(_with_shipped), BeforeValidator(section)
    ] = Field(
        default={},
        description="Classes, by name, with their periods. `ordinary`, `important` and `case` are always"
        " there.",
        json_schema_extra=nullable,
    )
    rules: Annotated[dict[Name, RetentionRule], BeforeValidator(section), Field(max_length=_MOST)] = Field(
        default={},
        description="Further rules, by name. Those for ordinary and important clips and for cases are always"
        " there; where several match, the longest wins.",
        json_schema_extra=nullable,
    )

    release: bool = Field(
        default=False, description="Local copies whose time is over go. Until then, none does."
    )
    grace: Duration = Field(
        default=_DAY, description="So long a copy stays after its confirmation, however short room is."
    )
    room: float = Field(
        default=10.0,
        ge=0,
        le=90,
        description="Percent of the disk: with less of it free, copies past their grace go early.",
    )
    two_persons: bool = Field(
        default=True,
        description="Lifting a hold, closing a case and shortening a rule take a second person who agrees.",
    )
    cooling_off: Duration = Field(
        default=7 * _DAY,
        description="So long a change that shortens anything waits before it can be confirmed.",
    )
    most_affected: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="Percent of the clips: a change that lets more of them go earlier is not confirmed.",
    )

    @property
    def every_class(self) -> dict[str, RetentionClass]:
        return {**SHIPPED_CLASSES, **self.classes}

    @property
    def every_rule(self) -> dict[str, RetentionRule]:
        return {**SHIPPED_RULES, **self.rules}

    @model_validator(mode="before")
    @classmethod
    def _former(cls, value: Any, info: ValidationInfo) -> Any:
        """Before there were classes, two periods at the centre stood here: they are read as the same."""
        if not isinstance(value, dict) or not (former := [name for name in _FORMER if name in value]):
            return value
        rest, classes = dict(value), value.get("classes") or {}
        for name in former:
            period = rest.pop(name)
            said = classes.get(name) or {} if isinstance(classes, dict) else None
            if isinstance(said, dict):
                classes = {**classes, name: {**said, "centre": _former_period(name, period, said, info)}}
        return {**rest, "classes": classes}

    @model_validator(mode="after")
    def _sound(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValidationError.from_exception_data("retention", faults)
        return self

    def _faults(self) -> Iterator[InitErrorDetails]:
        first: dict[tuple[Any, ...], tuple[str, RetentionRule]] = {}
        for name, rule in self.rules.items():
            if name in SHIPPED_RULES:
                yield _fault(name, (), f"is a rule that every station has: change its class `{name}` instead")
            if rule.gives not in self.every_class:
                near = difflib.get_close_matches(rule.gives, self.every_class, 1)
                hint = f", did you mean `{near[0]}`?" if near else ""
                yield _fault(name, ("gives",), f"names no class of `retention.classes`{hint}")
                continue
            other, same = first.setdefault(rule.conditions, (name, rule))
            if same.gives != rule.gives:
                yield _fault(name, (), f"contradicts `{other}`: the same clips, another class")
            if rule.older_than >= self.every_class[rule.gives].seconds:
                yield _fault(name, ("older_than",), "is when the period of its class is over already")


def _former_period(name: str, period: Any, said: dict[str, Any], info: ValidationInfo) -> Any:
    """Raises ValidationError at the place that the file has it."""
    now = f"is the former name of `retention.classes.{name}.centre`"
    if "centre" in said:
        raise _wrong(name, f"{now}, which is said as well: take this one out", period)
    try:
        TypeAdapter(Centre).validate_python(period, context=info.context)
    except ValidationError as error:
        why = error.errors()[0]
        raise _wrong(name, f"{now}, and {why.get('ctx', {}).get('error', why['msg'])}", period) from None
    return period


def _wrong(name: str, why: str, period: Any) -> ValidationError:
    kind = PydanticCustomError("value_error", "{error}", {"error": why})
    return ValidationError.from_exception_data("retention", [{"type": kind, "loc": (name,), "input": period}])


def _fault(name: str, key: tuple[str, ...], why: str) -> InitErrorDetails:
    """Of a kind that counts only when all files are together: classes and rules may stand apart."""
    return {
        "type": PydanticCustomError(UNSOUND, "{error}", {"error": why}),
        "loc": ("rules", name, *key),
        "input": name,
    }
