"""Errors that say what to do. The class decides (retry, stop, reject); the key names the sentence.

`Retry` the same thing later helps · `Stop` this place (a slot, a target) needs someone to act ·
`Reject` this one item will never work. Everything else that escapes is a bug and is fatal.
"""

from typing import Any


class StationError(Exception):
    """`key` is stable and has a sentence in `agent/words`; `params` fill it in."""

    key = "internal"

    def __init__(self, key: str = "", /, **params: Any) -> None:
        self.key = key or type(self).key
        self.params = params
        super().__init__(self.key, params)

    def __str__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.params.items())
        return f"{self.key} ({shown})" if shown else self.key


class Retry(StationError):
    """Try again later; `retry_after` in seconds when somebody said so."""

    key = "retry"

    def __init__(self, key: str = "", /, retry_after: float | None = None, **params: Any) -> None:
        super().__init__(key, **params)
        self.retry_after = retry_after


class Stop(StationError):
    """This slot or target cannot go on until somebody acts."""

    key = "stop"


class Reject(StationError):
    """This one file or clip cannot be taken; the rest goes on."""

    key = "reject"


# At the recorder
class DeviceGone(Stop):
    """Pulled, or its bus is gone. The docking ends; the next one resumes."""

    key = "pulled"


class Locked(Stop):
    """The recorder wants a password that we do not have."""

    key = "locked"


class Unsupported(Stop):
    """Nothing here can read it: no file system, an unknown one, no driver."""

    key = "unsupported"


class SourceUnreadable(Reject):
    """The recorder's medium fails at `offset` for `length` bytes; the rest may be readable."""

    key = "unreadable"

    def __init__(self, key: str = "", /, *, offset: int, length: int, **params: Any) -> None:
        super().__init__(key, offset=offset, length=length, **params)
        self.offset = offset
        self.length = length


class SourceChanged(Retry):
    """The recorder still writes this file."""

    key = "still-recording"


# At the station's disk
class StoreFull(Stop):
    """Only the reserve is left: the catalog and the log must always be able to commit."""

    key = "store-full"


class NoRoom(StoreFull):
    """Not even the smallest clip of a recorder fits: nothing of it is begun. Another station may take it."""

    key = "no-room"


class NotEqual(Reject):
    """What is on our disk is not what we wrote. `part` is its index."""

    key = "not-equal"


# At a target
class Transient(Retry):
    """Busy, slow, unreachable."""

    key = "target-unreachable"


class TargetFull(Retry):
    key = "target-full"


class AuthFailed(Stop):
    key = "target-auth"


class Rejected(Reject):
    """The target will never store this clip."""

    key = "target-rejected"


# Of the agent itself
class Stopping(StationError):
    """The agent is ending; leave everything so that the next start goes on."""

    key = "stopping"


class CatalogError(Stop):
    key = "catalog"


class WrongState(CatalogError):
    """The clip was not in the state that the change starts from, or there is no such move."""

    key = "wrong-state"


class ConfigError(Stop):
    """Every fault found, each with file, line and what to do."""

    key = "config"

    def __init__(self, faults: "list[str]") -> None:
        super().__init__(faults=faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(self.faults)
