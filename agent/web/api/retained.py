"""Why a clip is kept, and for how long, as it is told."""

import math
from collections.abc import Mapping
from typing import Any

from agent.status.plain import plain
from agent.web.api import shapes
from agent.web.api.answers import moment


def told(found: Mapping[str, Any]) -> shapes.Kept:
    """`found`: as `agent.retention.explain` has it."""
    return {
        "counts_from": {"at": _until(found["counts_from"]["at"]), "by": found["counts_from"]["by"]},
        "rules": [
            {"rule": plain(one["rule"]), "class": plain(one["class"]), "until": _until(one["until"])}
            for one in found["rules"]
        ],
        "centre": _by(found["centre"]),
        "here": _by(found["here"]),
        "holds": list(found["holds"]),
        "hinders": [{"key": one["key"], "params": _params(one["params"])} for one in found["hinders"]],
    }


def _by(kept: Mapping[str, Any]) -> shapes.KeptBy:
    return {"until": _until(kept["until"]), "rule": plain(kept["rule"])}


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _until(value) if name == "until" else plain(value) for name, value in params.items()}


def _until(seconds: float | None) -> str | None:
    """None: for ever, or nobody knows."""
    return None if seconds is None or math.isinf(seconds) else moment(seconds)
