"""What each role may do, in one table, and whom a name or a recording concerns.

Nobody is trusted with everything over the network: who keeps the machine sees no recording and nobody's
name, who looks at recordings cannot change the machine, who inspects changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.config.roster import spelt


class Role(StrEnum):
    OFFICER = "officer"
    CUSTODIAN = "custodian"
    REVIEWER = "reviewer"
    INSPECTOR = "inspector"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    SEE_STATUS = "see-status"
    SEE_NAMES = "see-names"  # of officers and recorders, where they concern the caller; else they are masked
    SEE_CLIPS = "see-clips"  # clips, dockings, receipts: what is known of them, no footage
    SEE_FOOTAGE = "see-footage"
    LABEL = "label"
    HOLD = "hold"
    COLLECT = "collect"  # prioritise, retry, stop using a slot
    ACKNOWLEDGE = "acknowledge"  # an issue of the station's health
    SEE_SETTINGS = "see-settings"  # configuration, targets
    SEE_LOGS = "see-logs"  # heads of the log
    MANAGE_ACCESS = "manage-access"
    SCRAPE = "scrape"  # metrics


class How(StrEnum):
    SESSION = "session"
    TOKEN = "token"
    SOCKET = "socket"
    KIOSK = "kiosk"


_R = Right
RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OFFICER: frozenset({_R.SEE_STATUS, _R.SEE_NAMES, _R.SEE_CLIPS}),
    Role.CUSTODIAN: frozenset(
        {
            _R.SEE_STATUS, _R.SEE_NAMES, _R.SEE_CLIPS, _R.SEE_FOOTAGE, _R.SEE_LOGS,
            _R.LABEL, _R.HOLD, _R.COLLECT, _R.ACKNOWLEDGE,
        }
    ),
    Role.REVIEWER: frozenset({_R.SEE_STATUS, _R.SEE_NAMES, _R.SEE_CLIPS, _R.SEE_FOOTAGE}),
    Role.INSPECTOR: frozenset(
        {
            _R.SEE_STATUS, _R.SEE_NAMES, _R.SEE_CLIPS, _R.SEE_FOOTAGE,
            _R.SEE_SETTINGS, _R.SEE_LOGS, _R.SCRAPE,
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            _R.SEE_STATUS, _R.SEE_CLIPS, _R.SEE_SETTINGS, _R.SEE_LOGS, _R.SCRAPE,
            _R.COLLECT, _R.ACKNOWLEDGE, _R.MANAGE_ACCESS,
        }
    ),
}  # fmt: skip
#: Tokens are for machines, which need to know nobody.
MACHINE = frozenset({_R.SEE_STATUS, _R.SCRAPE})
#: Who stands before the rack sees which recorder is in which slot anyway.
KIOSK = frozenset({_R.SEE_STATUS, _R.SEE_NAMES, _R.SCRAPE})
#: Whose account is bound to units; all others see the whole station, or nobody's but their own.
OF_UNITS = frozenset({Role.CUSTODIAN, Role.REVIEWER})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Made by `agent.access` alone, for each request anew."""

    name: str
    role: Role | None  # None: a machine, or who stands at this one
    rights: frozenset[Right]
    units: frozenset[str] = frozenset()  # as the roster writes them; empty: all
    officer: str = ""  # the number of the officer whose account it is
    how: How = How.SESSION

    @property
    def who(self) -> str:
        """As events name them. An account's name has no space, so none of these is another."""
        return f"token {self.name}" if self.how is How.TOKEN else self.name


def local(uid: int) -> Caller:
    """A user of this machine at the Unix socket, whose mode says who may: everything."""
    return Caller(f"uid {uid}", None, frozenset(Right), how=How.SOCKET)


def kiosk() -> Caller:
    """The screen at the rack."""
    return Caller("kiosk", None, KIOSK, how=How.KIOSK)


def machine(name: str) -> Caller:
    return Caller(name, None, MACHINE, how=How.TOKEN)


def may(caller: Caller, right: Right) -> bool:
    return right in caller.rights


def sees(caller: Caller, unit: str, officer: str) -> bool:
    """Whether a clip, docking or receipt of this officer is in what the caller may ask for at all: to filter.
    `officer`: whose it is, as a label says or else its recorder; `unit`: that officer's on that day, by the
    roster. "" where nobody knows: that is seen by those alone who are not bound."""
    if Right.SEE_CLIPS not in caller.rights:
        return False
    return _within(caller, unit, officer)


def concerns(caller: Caller, unit: str, officer: str) -> bool:
    """Whether the caller may read names of that officer, recorder and files: else they are masked. Arguments
    as in `sees`."""
    return Right.SEE_NAMES in caller.rights and _within(caller, unit, officer)


def whole(caller: Caller) -> bool:
    """Whether every name at the station concerns the caller."""
    return Right.SEE_NAMES in caller.rights and not caller.units and caller.role is not Role.OFFICER


def _within(caller: Caller, unit: str, officer: str) -> bool:
    if caller.role is Role.OFFICER:
        return bool(caller.officer) and spelt(officer) == spelt(caller.officer)
    return not caller.units or unit in caller.units
