"""What was erased, by whom and why, as documents of the store itself.

    certificates/<day>-<n>.jsonl      the list: a line for each clip with its SHA-256 (`agent.archive.lists`)
    certificates/<day>-<n>.json       who began to erase by that list, and why; laid before the first deletion
    certificates/<day>-<n>.done.json  what came of it

None of them is ever replaced. One that was begun and is not done was cut off: the next run by the same list
goes on with it.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.archive.lists import ExpiryList
from agent.archive.store import CERTIFICATES, Store
from agent.errors import Reject, Transient

FORMAT = 1
_BEGUN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{1,6}\.json", re.ASCII)
_MOST = 1000  # of one day


@dataclass(frozen=True, slots=True)
class Certificate:
    """`name`: of its documents, without their endings. `digest`: SHA-256 in hex of what was laid as begun."""

    name: str
    digest: str


def begin(store: Store, wanted: ExpiryList, who: str, why: str, now: float) -> Certificate:
    """Of a run that was cut off, the same one again. Raises Reject `archive-done`."""
    for name, data, said in _begun(store):
        if said.get("root") == wanted.root and said.get("list_made_at") == wanted.made_at:
            if store.read(f"{CERTIFICATES}/{name}.done.json") is not None:
                raise Reject("archive-done", certificate=name)
            return Certificate(name, hashlib.sha256(data).hexdigest())
    name = _lay_list(store, wanted, now)
    facts = {
        "format": FORMAT, "state": "begun", "certificate": name, "place": wanted.place, "name": who,
        "reason": why, "begun_at": now, "root": wanted.root, "list_made_at": wanted.made_at,
        "clips": wanted.clips, "bytes": wanted.size, "of": wanted.of, "list": f"{name}.jsonl",
    }  # fmt: skip
    data = _text(facts)
    if not store.lay(f"{CERTIFICATES}/{name}.json", data):
        raise Transient("archive-twice", certificate=name)
    return Certificate(name, hashlib.sha256(data).hexdigest())


def done(store: Store, certificate: Certificate, facts: Mapping[str, Any]) -> None:
    """`facts`: what came of it."""
    said = {"format": FORMAT, "state": "done", "certificate": certificate.name, **facts}
    data = _text({**said, "begun_sha256": certificate.digest})
    if not store.lay(f"{CERTIFICATES}/{certificate.name}.done.json", data):
        raise Transient("archive-twice", certificate=certificate.name)


def _lay_list(store: Store, wanted: ExpiryList, now: float) -> str:
    """Under the first name that is free, or under which a run that was cut off has laid it already."""
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    there = set(store.below(CERTIFICATES))
    for number in range(1, _MOST):
        name = f"{day}-{number}"
        if f"{name}.json" in there:
            continue
        path = f"{CERTIFICATES}/{name}.jsonl"
        if store.lay(path, wanted.data) or store.read(path) == wanted.data:
            return name
    raise Reject("archive-certificates", day=day)


def _begun(store: Store) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    for file in store.below(CERTIFICATES):
        if _BEGUN.fullmatch(file) and (data := store.read(f"{CERTIFICATES}/{file}")):
            try:
                said = json.loads(data)
            except (ValueError, RecursionError):
                continue  # it was not ours, or rots: another one is begun
            if isinstance(said, dict):
                yield file.removesuffix(".json"), data, said


def _text(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
