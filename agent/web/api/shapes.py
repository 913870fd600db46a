"""The shapes of answers. Stable: fields may be added, none is renamed or removed without a note in the
changelog. Times are RFC 3339 with a zone, sizes are bytes, speeds bytes per second."""

from typing import Any

from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from agent.status.shape import DiskShape, DutyShape, FindingsShape, QueueShape


class ProblemFact(TypedDict):
    key: str
    params: dict[str, Any]


class Pulled(TypedDict):
    recorder: str
    officer: str
    files: int | None
    at: str | None


class Slot(TypedDict):
    slot: str
    state: str
    step: str
    recorder: str
    officer: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    bytes_per_second: float
    eta_seconds: float | None
    problems: list[ProblemFact]
    since: str | None
    registered: bool | None
    received: str | None
    collected: str | None
    confirmed: str | None
    docking: int | None
    erased: int
    duty: DutyShape | None
    pulled: Pulled | None


class Issue(TypedDict):
    key: str
    severity: str
    params: dict[str, Any]
    since: str | None


class Status(TypedDict):
    station: str
    version: str
    now: str | None
    ready: bool
    waiting_for: list[str]
    uptime_seconds: float
    clock_trusted: bool
    slots: list[Slot]
    clips: dict[str, int]
    queue: QueueShape
    disk: DiskShape
    findings: FindingsShape
    health: list[Issue]


class Slots(TypedDict):
    slots: list[Slot]


class Issues(TypedDict):
    issues: list[Issue]


class Clip(TypedDict):
    clip: int
    state: str
    recorder: str
    officer: str
    path: str
    size: int
    kind: str
    important: bool
    partial: bool
    assigned: bool
    category: str
    case: str
    recorded_at: str | None  # by the recorder's clock
    time_source: str
    docking: int
    slot: str
    docked_at: str | None
    docked_at_trusted: bool
    stored_at: str | None
    sha256: str | None
    merged_into: int | None


class Clips(TypedDict):
    clips: list[Clip]
    next: str | None


class Docking(TypedDict):
    docking: int
    slot: str
    recorder: str
    officer: str
    started: str | None
    started_trusted: bool
    ended: str | None
    outcome: str | None
    clips: int
    bytes: int


class Dockings(TypedDict):
    dockings: list[Docking]
    next: str | None


class Recorder(TypedDict):
    recorder: str
    officer: str
    docking: int
    slot: str
    started: str | None
    ended: str | None
    outcome: str | None


class Recorders(TypedDict):
    recorders: list[Recorder]
    next: str | None


class Hold(TypedDict):
    hold: int
    scope: str
    value: str
    since: str | None
    until: str | None
    set_at: str | None
    set_at_trusted: bool
    set_by: str
    lifted_at: str | None


class Holds(TypedDict):
    holds: list[Hold]
    next: str | None


class Target(TypedDict):
    target: str
    kind: str
    up: bool
    problem: ProblemFact | None


class Targets(TypedDict):
    targets: list[Target]


class Head(TypedDict):
    origin: str
    size: int
    root: str
    note: str


class Heads(TypedDict):
    head: Head | None


class Who(TypedDict):
    name: str
    role: str | None  # None: a machine, or a user of this one
    how: str
    units: list[str]  # empty: all that the role allows
    rights: list[str]


class Told(TypedDict):
    """What became of a command: further members tell what it concerned."""

    done: bool
