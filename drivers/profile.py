"""Profiles: what differs between makers whose recorders are all plain disks.

A profile is a YAML file in `drivers/profiles`. Which maker's card is docked is not known beforehand,
so all profiles hold at once: `rules()` is their sum, and the first name pattern that fits wins.
All expressions ignore case (FAT does), and must fit as a whole unless said otherwise.
"""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.errors import ConfigError

FLAGS = re.ASCII | re.IGNORECASE | re.DOTALL  # DOTALL: a name may contain a newline
SHIPPED = Path(__file__).parent / "profiles"
_GROUPS = {"recorder", "officer", "time", "sequence", "important"}
Kind = Literal["video", "photo", "audio", "sidecar"]


def _compiled(value: object) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise ValueError("must be text; put it in single quotes")
    try:
        pattern = re.compile(value, FLAGS)
    except re.error as e:
        raise ValueError(f"is no regular expression: {e}") from e
    if unknown := set(pattern.groupindex) - _GROUPS:
        raise ValueError(f"unknown group {sorted(unknown)}; known are {sorted(_GROUPS)}")
    return pattern


def _extension(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+", value):
        raise ValueError("write extensions in small letters and without the dot")
    return value


def _names_recorder(pattern: re.Pattern[str]) -> re.Pattern[str]:
    if "recorder" not in pattern.groupindex:
        raise ValueError("must have a group `recorder`")
    return pattern


Regex = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
Extension = Annotated[str, AfterValidator(_extension)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NamePattern(_Strict):
    """`regex` fits a file name without its extension. `time` is 14 digits, whatever stands between them."""

    pattern: str
    regex: Regex
    examples: tuple[str, ...] = Field(min_length=1)


class IdentityFile(_Strict):
    """`regex` is searched in the head of the file at `path`; its group `recorder` is the number."""

    path: Regex
    regex: Annotated[Regex, AfterValidator(_names_recorder)]


class Profile(_Strict):
    """One file. Every key is optional."""

    names: tuple[NamePattern, ...] = ()
    folders: tuple[Regex, ...] = ()  # whole path of a folder that names `recorder` or `officer`
    important_names: tuple[Regex, ...] = ()
    important_folders: tuple[str, ...] = ()
    ignored_folders: tuple[Regex, ...] = ()
    labels: tuple[Regex, ...] = ()
    placeholders: tuple[str, ...] = ()
    identity_files: tuple[IdentityFile, ...] = ()
    kinds: dict[Kind, tuple[Extension, ...]] = {}


@dataclass(frozen=True, slots=True)
class Rules:
    """All profiles as one."""

    names: tuple[NamePattern, ...]
    folders: tuple[re.Pattern[str], ...]
    important_names: tuple[re.Pattern[str], ...]
    important_folders: frozenset[str]  # in small letters
    ignored_folders: tuple[re.Pattern[str], ...]
    labels: tuple[re.Pattern[str], ...]
    placeholders: frozenset[str]
    identity_files: tuple[IdentityFile, ...]
    kinds: Mapping[str, str]  # extension → kind


@functools.cache
def rules(folder: Path = SHIPPED) -> Rules:
    """Every profile of `folder`, in the order of their names. Raises ConfigError with all faults found."""
    faults: list[str] = []
    profiles = [p for path in sorted(folder.glob("*.yaml")) for p in _load(path, faults)]
    kinds: dict[str, str] = {}
    for profile in profiles:
        for kind, extensions in profile.kinds.items():
            for extension in extensions:
                if kinds.setdefault(extension, kind) != kind:
                    faults.append(f"{folder}: .{extension} is both {kinds[extension]} and {kind}")
    if faults:
        raise ConfigError(faults)

    def every(key: str) -> tuple[Any, ...]:
        return tuple(item for profile in profiles for item in getattr(profile, key))

    return Rules(
        names=every("names"),
        folders=every("folders"),
        important_names=every("important_names"),
        important_folders=frozenset(name.lower() for name in every("important_folders")),
        ignored_folders=every("ignored_folders"),
        labels=every("labels"),
        placeholders=frozenset(every("placeholders")),
        identity_files=every("identity_files"),
        kinds=kinds,
    )


def _load(path: Path, faults: list[str]) -> Iterator[Profile]:
    try:
        yield Profile.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        faults.append(f"{path}: {e}")
    except ValidationError as e:
        faults += [f"{path}: {_fault(error['loc'], error['type'], error['msg'])}" for error in e.errors()]


def _fault(place: tuple[int | str, ...], kind: str, message: str) -> str:
    where = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"`{where}`: {message}"
    known = [key for model in (Profile, NamePattern, IdentityFile) for key in model.model_fields]
    near = difflib.get_close_matches(str(place[-1]), known, 1)
    return f"`{where}`: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
