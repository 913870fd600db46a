"""The shape of `GET /status`. Stable: screens, monitoring and scripts read it. docs/status.md explains
every field (a test keeps it so). Times are seconds since the epoch, sizes are bytes."""

from typing import Any

from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12


class ProblemShape(TypedDict):
    key: str
    params: dict[str, Any]


class DutyShape(TypedDict):
    fit: bool | None
    battery: int | None
    free: int | None
    total: int | None
    clock_off: float | None


class PulledShape(TypedDict):
    recorder: str
    officer: str
    files: int | None
    at: float


class SlotShape(TypedDict):
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
    problems: list[ProblemShape]
    since: float
    registered: bool | None
    received: float | None
    collected: float | None
    confirmed: float | None
    docking: int | None
    erased: int
    duty: DutyShape | None
    pulled: PulledShape | None
    out_of_use: float | None


class QueueShape(TypedDict):
    clips: int
    bytes: int


class DiskShape(TypedDict):
    free: int
    total: int
    reserve: int
    per_day: int | None
    full_in_days: int | None


class AcknowledgedShape(TypedDict):
    by: str
    at: float
    note: str


class IssueShape(TypedDict):
    key: str
    subject: str
    severity: str
    params: dict[str, Any]
    since: float
    acknowledged: AcknowledgedShape | None


class FindingsShape(TypedDict):
    open: int


class StatusShape(TypedDict):
    station: str
    version: str
    ready: bool
    waiting_for: list[str]
    uptime_seconds: float
    clock_trusted: bool
    slots: list[SlotShape]
    clips: dict[str, int]
    queue: QueueShape
    disk: DiskShape
    findings: FindingsShape
    health: list[IssueShape]
