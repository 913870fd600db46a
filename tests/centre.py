"""What somebody reads at the centre who has nothing else: stations by their documents, clips by name."""

import json
from collections.abc import Callable
from typing import Any

#: Of a path below the root of the store; None where nothing lies.
Fetch = Callable[[str], bytes | None]
Event = dict[str, Any]


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def status(fetch: Fetch, station: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(fetch(f"stations/{station}/status.json") or b"{}")
    return said


def events(fetch: Fetch, station: str, story: str = "") -> list[Event]:
    """The whole log, segment after segment: each is named after its first event. Nothing before the station
    has told anything."""
    found: list[Event] = []
    if not (story := story or status(fetch, station).get("story", "")):
        return found
    while segment := fetch(f"stations/{station}/{story}/log/{len(found) + 1:012}.jsonl"):
        found += lines(segment)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    return found


def confirmed(log: list[Event]) -> dict[str, str]:
    """Key and SHA-256 of every clip that is confirmed, told from its events alone."""
    state: dict[int, str] = {}
    known: dict[int, tuple[str, str]] = {}
    for event in log:
        body, clip = event["body"], event["clip"]
        if "to" in body:
            state[clip] = body["to"]
        if body.get("to") == "stored" and "key" in body:
            known[clip] = body["key"], body["sha256"]
    return dict(known[clip] for clip, now in state.items() if now == "confirmed")
