"""What an administrator may have the uploads do. Arguments are texts, as the narrow door takes them."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.errors import Reject
from agent.upload.live import LiveUploads

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]


def commands(uploads: LiveUploads) -> dict[str, Command]:
    """By name."""

    def accept_target(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        uploads.accept(arguments.get("target", ""), arguments.get("place", ""), who)
        return {}

    def now(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        uploads.first(_clip(arguments.get("clip", "")), who)
        return {}

    def slot(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        recorder, clips = uploads.first_of_slot(arguments.get("slot", ""), who)
        return {"recorder": recorder, "clips": clips}

    def retry(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        clip = arguments.get("clip")
        return {"clips": uploads.retry(None if clip is None else _clip(clip), who)}

    return {"target-accept": accept_target, "upload-now": now, "upload-slot": slot, "upload-retry": retry}


def _clip(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Reject("no-such-clip", clip=text)
    return int(text)
