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
    out_of_use: str | None


class Known(TypedDict):
    by: str
    at: str | None
    note: str


class Issue(TypedDict):
    key: str
    subject: str
    severity: str
    params: dict[str, Any]
    since: str | None
    acknowledged: Known | None


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


class Looked(TypedDict):
    target: str
    at: str | None
    left: int


class Finding(TypedDict):
    finding: int
    rule: str
    recorder: str
    docking: int
    facts: dict[str, Any]
    found_at: str | None
    state: str
    looked: list[Looked]
    changed_at: str | None
    explained_by: str
    explanation: str | None  # None: there is none, or it was erased


class Findings(TypedDict):
    findings: list[Finding]
    next: str | None


class Clock(TypedDict):
    """Spans from the least to the most; None where nothing bounds them."""

    recorder: str
    dockings: int
    docked: str | None
    ahead_seconds: list[float | None]
    drift_seconds_a_day: list[float | None]
    wrong: bool  # for certain


class Clocks(TypedDict):
    clocks: list[Clock]
    next: str | None


class Tally(TypedDict):
    officer: str
    unit: str
    recorder: str
    clips: int
    in_time: int
    late: int
    most_late: float  # seconds
    unknown: int  # nobody can say whether in time
    uncollected: int
    away: bool  # of the roster, and did not dock


class Late(TypedDict):
    clip: int
    officer: str
    recorder: str
    recorded: str | None  # the latest moment at which it can have been
    handed: str | None
    late: float  # seconds beyond the limit


class HandIn(TypedDict):
    day: str
    recorders: list[Tally]
    late: list[Late]
    more: bool  # there are more than are told


class CountsFrom(TypedDict):
    at: str | None  # None: nobody knows yet
    by: str


#: `class` is a word of Python's own.
KeptRule = TypedDict("KeptRule", {"rule": str, "class": str, "until": str | None})


class KeptBy(TypedDict):
    until: str | None  # None: for ever
    rule: str | None  # None: no rule speaks of it, and it is kept


class Kept(TypedDict):
    counts_from: CountsFrom
    rules: list[KeptRule]
    centre: KeptBy
    here: KeptBy
    holds: list[int]
    hinders: list[ProblemFact]  # why the copy here cannot go now


class Delivery(TypedDict):
    target: str
    state: str
    receipt: dict[str, Any] | None  # what the target itself reported
    problem: ProblemFact | None
    at: str | None


class Event(TypedDict):
    event: int
    kind: str
    at: str | None
    trusted: bool  # the station's clock, then
    signed: bool  # it is entry `event - 1` of the log; else it will be in a second
    facts: dict[str, Any]
    texts: dict[str, str | None]  # what people wrote; None: it was erased


class Digests(TypedDict):
    sm3: str | None
    part_size: int
    parts: int
    unreadable: list[list[int]]  # from, bytes


class LogSize(TypedDict):
    origin: str
    size: int
    root: str


class Story(TypedDict):
    clip: Clip
    event: int  # of this look itself
    digests: Digests | None
    deliveries: list[Delivery]
    findings: list[Finding]
    events: list[Event]
    log: LogSize | None
    kept: Kept


class View(TypedDict):
    event: int
    clip: int  # the one that it became, where it was merged
    address: str
    seconds: float  # until the address ends
    size: int
    media: str


class Who(TypedDict):
    name: str
    role: str | None  # None: a machine, or a user of this one
    how: str
    units: list[str]  # empty: all that the role allows
    rights: list[str]


class Told(TypedDict):
    """What became of a command: further members tell what it concerned."""

    done: bool
