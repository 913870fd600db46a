"""Every key of the configuration, its type, its default and its meaning. Defaults live here only.

Frozen; a key that is not here is an error. Types are strict (`"yes"` is no boolean); an empty section
says nothing and is the default. What each key means to an operator stands in `docs/configuration.md`.
"""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from agent.config.hours import Hours
from agent.config.kinds import AbsolutePath, FilePath, Name, Section, Text, clean, nullable, section
from agent.config.ports import input_name, input_port
from agent.config.retention import RetentionConfig
from agent.config.targets import Target
from agent.config.units import Duration, Rate, Size, show_rate
from agent.config.web import WebConfig

_SLOWEST = 64 << 10  # bytes in a second: some servers wait no longer than five minutes for a part of 8 MiB
_SERVER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?", re.ASCII)


def _slot_name(name: str) -> str:
    if "/" in name or name in (".", ".."):
        raise ValueError("is no name for a slot: no `/`, `.` or `..`")
    return name


def _server(name: str) -> str:
    if not _SERVER.fullmatch(name):
        raise ValueError("should be the name or the address of a time server, such as `ntp.example.org`")
    return name


def _not_on_image(path: Path | None, info: ValidationInfo) -> Path | None:
    """Folders that anybody can fill are no recorders. A fault of the files only: code may do as it likes."""
    if path is not None and (info.context or {}).get("image"):
        raise ValueError("is refused on a station image: only real ports are collected there")
    return path


def _fast_enough(rate: int) -> int:
    if rate < _SLOWEST:
        raise ValueError(f"should be at least {show_rate(_SLOWEST)}: else servers give up waiting for a part")
    return rate


def _worth_it(rate: int) -> int:
    if rate < _SLOWEST:
        raise ValueError(f"should be at least {show_rate(_SLOWEST)}: else nothing is ever read to its end")
    return rate


SlotName = Annotated[
    str, StringConstraints(min_length=1, max_length=32), AfterValidator(clean), AfterValidator(_slot_name)
]
InputName = Annotated[str, AfterValidator(input_name)]
InputPort = Annotated[str, AfterValidator(input_port)]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Parallel = Annotated[int, Field(ge=1, le=32)]


class StationConfig(Section):
    name: Name = Field(
        default_factory=lambda: socket.gethostname() or "recorder-station",
        description="Name of this station, shown on screens and in the centre. Default: the host's name.",
    )
    language: Literal["zh", "en"] = Field(default="zh", description="Language of screens and messages.")
    ntp: list[Annotated[str, AfterValidator(_server)]] = Field(
        default=[], max_length=8, description="Time servers; a station image hands them to the system."
    )


class StoreConfig(Section):
    path: AbsolutePath = Field(
        default=Path("/var/lib/recorder-station"), description="Where clips and catalog live."
    )
    reserve: Size = Field(
        default=512 << 20,
        description="Kept free on the store's disk; the larger of this and 2 % of the disk counts.",
    )


class SlotConfig(Section):
    port: Text = Field(description="The physical socket, e.g. pci-0000:00:14.0-usb-0:3.2.")
    reader: bool = Field(
        default=False, description="A card reader: each of its card slots is a slot of its own."
    )


def _one_slot_per_port(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Looks at the raw value, and adds to what else is wrong, so that everything is reported at once."""
    faults = list(_ports_named_twice(value))
    try:
        slots = handler(value)
    except ValidationError as error:
        found = [{k: e[k] for k in ("type", "loc", "input", "ctx") if k in e} for e in error.errors()]
        faults += cast(list[InitErrorDetails], found)
    if faults:
        raise ValidationError.from_exception_data("slots", faults)
    return slots


def _ports_named_twice(slots: Any) -> Iterator[InitErrorDetails]:
    first: dict[str, str] = {}
    for name, slot in slots.items() if isinstance(slots, dict) else ():
        port = slot.get("port") if isinstance(slot, dict) else getattr(slot, "port", None)
        if isinstance(port, str) and first.setdefault(port, name) != name:
            error = ValueError(f"is the port of slot `{first[port]}` already: one slot per port")
            yield {"type": "value_error", "loc": (name, "port"), "input": port, "ctx": {"error": error}}


class DockConfig(Section):
    udev: bool = Field(default=True, description="Watch the real ports.")
    tag: Tag = Field(default="recorder-station", description="The udev tag that our rules put on recorders.")
    simulated_rack: Annotated[AbsolutePath | None, AfterValidator(_not_on_image)] = Field(
        default=None,
        description="A folder whose sub-folders are recorders, each docked in the slot of its name.",
    )
    mounts: AbsolutePath = Field(
        default=Path("/run/recorder-station/mounts"),
        description="Where recorders are mounted, read-only, by an agent that runs as root.",
    )
    helper: AbsolutePath = Field(
        default=Path("/run/recorder-station-helper.sock"),
        description="The socket of the root helper that mounts for an agent which does not run as root.",
    )
    stuck_after: Duration = Field(
        default=60.0,
        gt=0,
        description="A slot without progress for so long is disconnected through its port.",
    )
    slots: Annotated[
        dict[SlotName, SlotConfig], WrapValidator(_one_slot_per_port), BeforeValidator(section)
    ] = Field(
        default={},
        description="Names for ports. A port without a name is a slot named after its path.",
        json_schema_extra=nullable,
    )
    input_ports: Annotated[dict[InputName, InputPort], BeforeValidator(section)] = Field(
        default={},
        description="The only ports at which input devices work (badge scanner, touch screen), by name.",
        json_schema_extra=nullable,
    )

    @model_validator(mode="after")
    def _no_slot_for_input(self) -> Self:
        for name, slot in self.slots.items():
            if slot.port in self.input_ports.values():
                raise ValueError(
                    f"has the port of `slots.{name}` in `input_ports` too: nothing is collected there"
                )
        return self


class IngestConfig(Section):
    copies: Parallel = Field(default=4, description="Recorders copied at once, over all controllers.")
    copies_per_controller: Parallel = Field(
        default=4, description="Recorders copied at once per USB controller."
    )
    sm3: bool = Field(default=False, description="Also compute the SM3 digest of every clip.")


class UploadConfig(Section):
    uploaders: int = Field(default=2, ge=1, le=4, description="Clips sent at once.")
    bandwidth: Annotated[Rate, AfterValidator(_fast_enough)] | None = Field(
        default=None, description="Bytes in a second, over all targets. Default: as fast as it goes."
    )
    hours: Hours | None = Field(
        default=None, description="When clips are sent, in the station's local time. Default: always."
    )
    deadline: Duration = Field(
        default=86400.0,
        ge=3600.0,
        description="A clip that the centre does not have so long after docking is told.",
    )
    reconfirm: Duration = Field(
        default=7 * 86400.0,
        ge=3600.0,
        description="A target is asked again after so long for each clip that it confirmed and that is here.",
    )
    read_back_percent: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Of the clips that a target vouches for, so many are read back all the same.",
    )


class ExportConfig(Section):
    approval: bool = Field(
        default=False, description="An evidence package needs the approval of a second person."
    )


class EraseConfig(Section):
    enabled: bool = Field(
        default=False, description="Recorders of the roster are emptied of what is safe elsewhere."
    )
    after: Literal["confirmed", "stored"] = Field(
        default="confirmed",
        description="`confirmed`: once the centre has a clip, by its word of today. `stored`: as soon as the"
        " station has it, after its copy was read again.",
    )
    full_digest: bool = Field(
        default=False,
        description="Each file is read whole on the recorder before it goes, instead of at three places.",
    )
    patience: Duration = Field(
        default=60.0,
        le=600.0,
        description="So long a docked recorder waits for the centre to say again that it has its clips.",
    )


class ScrubConfig(Section):
    every: Duration = Field(
        default=30 * 86400.0,
        ge=3600.0,
        description="Each clip that lies here is read again about once in so long.",
    )
    rate: Annotated[Rate, AfterValidator(_worth_it)] = Field(
        default=4 << 20, description="Never faster than so many bytes in a second."
    )


class Config(Section):
    station: StationConfig = StationConfig()
    store: StoreConfig = StoreConfig()
    dock: DockConfig = DockConfig()
    ingest: IngestConfig = IngestConfig()
    targets: Annotated[dict[Name, Target], BeforeValidator(section)] = Field(
        default={},
        description="Central stores, by name. A clip is confirmed when every one of them has it.",
        json_schema_extra=nullable,
    )
    upload: UploadConfig = UploadConfig()
    retention: RetentionConfig = RetentionConfig()
    roster: FilePath | None = Field(
        default=None, description="CSV file that tells whose recorder is whose, beside station.yaml."
    )
    export: ExportConfig = ExportConfig()
    erase: EraseConfig = EraseConfig()
    scrub: ScrubConfig = ScrubConfig()
    web: WebConfig = WebConfig()


def json_schema() -> dict[str, Any]:
    """JSON Schema for editors, with defaults as people write them."""
    schema = Config.model_json_schema()
    for name, defaults in Config().model_dump(mode="json").items():
        about = schema["properties"][name]
        about.pop("default", None)  # it would repeat those of its keys
        keys = schema["$defs"].get(about.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        for key, described in keys.items():
            if "default" in described:
                described["default"] = defaults[key]
    return schema
