"""Covers names and secrets, by what is known to be one and by what looks like one.

When in doubt it covers: a figure that is lost costs a question, a name that gets out cannot be called back.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_SECRET = "(secret)"

#: Fields that hold a name or a text of people, whatever it looks like.
_NAMED = frozenset(
    {
        "station", "recorder", "recorders", "officer", "officers", "unit", "units", "case", "category",
        "who", "text", "note", "votes", "serial", "gives", "macs", "serials", "subject",
    }
)  # fmt: skip
#: Of a slot's problems everything is covered but these: they hold what a recorder calls its files.
_SAID = frozenset({"kind", "fs_type", "reason", "error"})
_SLOTS = frozenset({"slot", "slots", "where"})
_CALLED_BY_PEOPLE = frozenset({"rules", "classes"})  # objects whose keys are names
_PLAIN_SLOT = re.compile(
    r"[A-Za-z]{0,3}[-_. ]?\d{1,3}(?:\.\d{1,2})?|usb\d{1,2}|\d{1,2}-\d{1,2}(?:\.\d{1,2}){0,5}"
)

#: A part of a path that is nobody's: of the system's and of our own files.
_SYSTEM_PART = re.compile(
    r"[a-z@~.][a-z0-9_.:@+~-]*|[A-Z_]{1,12}|\d{1,4}|\d+(?:\.\d+)+(?:[-+][a-z0-9.+-]*)?|[KMGT]iB|[KMG]bit|Linux|"
)
_RECORDING = re.compile(
    r"\.(?:mp4|mov|avi|mkv|ts|3gp|asf|wmv|h26[45]|dat|wav|mp3|aac|amr|m4a|ogg|jpe?g|png|bmp|heic|gps|nmea"
    r"|srt|sub|part|lock|csv)\b",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"""
      (?P<key>-----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z))
    | (?P<said>(?i:\b(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key|authorization|cookie
        |aws_\w+|\w*_(?:secret|token|password|key))["']?\s*[=:]\s*))(?P<value>(?:(?i:bearer|basic)\s+)?\S+)
    | (?P<bearer>\b(?i:bearer|basic)\s+)(?P<carried>[A-Za-z0-9+/=._~-]{8,})
    | (?P<user>://[^/\s@]+@)
    | (?P<query>(?<=\w)\?[^\s"'<>]*=[^\s"'<>]*)
    | (?P<escaped>(?:\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\\[0-7]{3})+)
    | (?P<foreign>[^\x00-\x7f‘’“”–—…→·×°]+)
    | (?P<mail>[\w.+-]+@[\w-]+\.[\w.-]+)
    | (?P<mac>\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b)
    | (?P<path>(?:[\w.@+~-]+)?(?:/[\w.@+~-]+)+/?|[\w@+~-]+(?:\.[\w@+~-]+)+)
    | (?P<random>\b(?=[A-Za-z+_-]*\d)(?=[\d+_-]*[A-Za-z])[A-Za-z0-9+_-]{20,}={0,2})
    | (?P<digits>\d{5,})
    """,
    re.VERBOSE | re.DOTALL,
)
_LONG_NUMBER = re.compile(r"\d{5,}")


class Veil:
    """`known`: names in whatever case, as far as they occur in what is to be covered. `hidden`: secrets."""

    def __init__(self, known: Collection[str] = (), hidden: Collection[str] = ()) -> None:
        self._key = secrets.token_bytes(32)
        self._hidden = {secret.casefold() for secret in hidden}
        longest_first = sorted({*known, *hidden}, key=len, reverse=True)
        parts = [_whole(name) for name in longest_first if name]
        self._known = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def name(self, said: str) -> str:
        """What stands for it in this bundle."""
        if not said:
            return said
        digest = hmac.new(self._key, said.strip().casefold().encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"~{digest.hexdigest()[:10]}"

    def text(self, said: str) -> str:
        """What is known first: what is left of the text around it is looked at for what only looks so."""
        if self._known is None:
            return self._by_looks(said)
        shown, at = [], 0
        for found in self._known.finditer(said):
            shown += [self._by_looks(said[at : found.start()]), self._stand_in(found[0])]
            at = found.end()
        return "".join([*shown, self._by_looks(said[at:])])

    def data(self, given: Any, field: str = "") -> Any:
        """Of JSON. Numbers stay: they count and measure, and name nobody."""
        if field == "problems" and isinstance(given, list | tuple):
            return [self._problem(each) for each in given]
        if isinstance(given, Mapping):
            return {self._key_of(str(key), field): self.data(value, str(key)) for key, value in given.items()}
        if isinstance(given, list | tuple):
            return [self.data(each, "" if isinstance(each, Mapping) else field) for each in given]
        return self._of_field(given, field) if isinstance(given, str) else given

    def _problem(self, problem: Mapping[str, Any]) -> dict[str, Any]:
        params = {
            name: self.name(value) if isinstance(value, str) and name not in _SAID else self.data(value, name)
            for name, value in problem["params"].items()
        }
        return {"key": problem["key"], "params": params}

    def _of_field(self, said: str, field: str) -> str:
        if field in _NAMED:
            return self.name(said)
        if field in _SLOTS:
            return said if _PLAIN_SLOT.fullmatch(said) else self.name(said)
        return self.text(said)

    def _key_of(self, key: str, field: str) -> str:
        if field in _CALLED_BY_PEOPLE:
            return self.name(key)
        return self._of_field(key, field) if field in _SLOTS else self.text(key)

    def _stand_in(self, found: str) -> str:
        return _SECRET if found.casefold() in self._hidden else self.name(found)

    def _by_looks(self, said: str) -> str:
        return _LOOKS.sub(self._looked_at, said)

    def _looked_at(self, found: re.Match[str]) -> str:
        if found["said"] or found["bearer"]:
            return f"{found['said'] or found['bearer']}{_SECRET}"
        if found["user"]:
            return f"://{_SECRET}@"
        if found["key"] or found["query"]:
            return _SECRET
        if found["path"]:
            return "/".join(self._part(part) for part in found["path"].split("/"))
        return self.name(found[0])

    def _part(self, part: str) -> str:
        odd = _RECORDING.search(part) or _LONG_NUMBER.search(part)
        return part if _SYSTEM_PART.fullmatch(part) and not odd else self.name(part)


def names_in(given: Any, field: str = "") -> Iterator[str]:
    """What stands in the fields of JSON that hold names: it may stand in sentences beside them, too."""
    if isinstance(given, Mapping):
        for key, value in given.items():
            yield from names_in(value, str(key))
    elif isinstance(given, list | tuple):
        for each in given:
            yield from names_in(each, field)
    elif isinstance(given, str) and (field in _NAMED or (field in _SLOTS and not plain_slot(given))):
        yield given


def plain_slot(name: str) -> bool:
    """Whether a slot's name says nothing but where it is."""
    return _PLAIN_SLOT.fullmatch(name) is not None


def _whole(name: str) -> str:
    """Short ones count as whole words only: they would be found in the middle of others."""
    escaped = re.escape(name)
    return rf"(?<!\w){escaped}(?!\w)" if len(name) <= 4 and name.isascii() else escaped
