"""A tus server refuses by its status: to wait, to act, to send again, or to give the clip up."""

import pytest

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.upload.targets.http import Answer, Damaged
from agent.upload.targets.tus import errors


@pytest.mark.parametrize(
    ("status", "kind", "key"),
    [
        (200, Transient, "target-unreachable"),
        (302, AuthFailed, "target-no-tus"),
        (400, Rejected, "target-rejected"),
        (401, AuthFailed, "target-auth"),
        (403, AuthFailed, "target-auth"),
        (404, Transient, "target-unreachable"),
        (405, AuthFailed, "target-no-tus"),
        (408, Transient, "target-unreachable"),
        (409, Transient, "target-unreachable"),
        (410, Transient, "target-unreachable"),
        (412, AuthFailed, "target-no-tus"),
        (413, Rejected, "target-too-large"),
        (415, Rejected, "target-rejected"),
        (423, Transient, "target-unreachable"),
        (429, Transient, "target-unreachable"),
        (460, Damaged, "target-damaged"),
        (500, Transient, "target-unreachable"),
        (503, Transient, "target-unreachable"),
        (507, TargetFull, "target-full"),
    ],
)
def test_a_status_says_what_to_do(status: int, kind: type[StationError], key: str) -> None:
    error = errors.told(Answer(status, {"Retry-After": "7"}), "a/clip.mp4")
    assert (type(error), error.key) == (kind, key)
    if kind is Transient:
        assert isinstance(error, Transient) and error.retry_after == 7


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_question_rejects_no_clip(status: int) -> None:
    assert type(errors.of_a_question(Answer(status, {}), "/files/1")) is Transient
