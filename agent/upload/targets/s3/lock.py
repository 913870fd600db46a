"""S3 Object Lock, as it is asked for and as a server tells it ("Using S3 Object Lock", Amazon S3's guide)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from xml.etree import ElementTree

from agent.model import Lock

_PREFIX = "x-amz-object-lock-"


class Mode(StrEnum):
    GOVERNANCE = "GOVERNANCE"  # somebody with a right of its own may lift it
    COMPLIANCE = "COMPLIANCE"  # nobody may


def headers(lock: Lock, mode: Mode) -> dict[str, str]:
    """Of the request that makes an object."""
    sent = {}
    if lock.until:
        sent[_PREFIX + "mode"] = str(mode)
        sent[_PREFIX + "retain-until-date"] = _date(lock.until)
    if lock.hold:
        sent[_PREFIX + "legal-hold"] = "ON"
    return sent


def told(answer: Mapping[str, str], mode: Mode) -> Lock:
    """What the headers of an answer say. A weaker mode than `mode` is none."""
    kept = answer.get(_PREFIX + "mode", "")
    until = answer.get(_PREFIX + "retain-until-date", "") if kept in (mode, Mode.COMPLIANCE) else ""
    return Lock(_seconds(until), answer.get(_PREFIX + "legal-hold") == "ON")


def stronger(answer: Mapping[str, str], mode: Mode) -> Mode:
    """In which mode an object is locked for longer that is locked already: nobody can weaken COMPLIANCE."""
    return Mode.COMPLIANCE if answer.get(_PREFIX + "mode") == Mode.COMPLIANCE else mode


def retention(until: float, mode: Mode) -> bytes:
    return _document("Retention", Mode=str(mode), RetainUntilDate=_date(until))


def legal_hold(*, on: bool = True) -> bytes:
    return _document("LegalHold", Status="ON" if on else "OFF")


def _document(name: str, **values: str) -> bytes:
    root = ElementTree.Element(name, xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    for key, value in values.items():
        ElementTree.SubElement(root, key).text = value
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float:
    """0 for what is no time: then nothing is locked."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
