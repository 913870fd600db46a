"""JSON as every route answers it."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from agent.status.plain import plain


def as_json(content: Mapping[str, Any] | list[Any], status_code: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status_code, media_type="application/json")


def refusal(key: str, status_code: int, params: Mapping[str, Any] | None = None) -> Response:
    """A key with its parameters: the one who asked makes the sentence."""
    return as_json({"key": key, "params": plain(params or {})}, status_code)
