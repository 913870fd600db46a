"""What a tus server's refusal means: the status decides, there is nothing else. 460 is that of the extension
"checksum", 413 and 412 those of "creation" and of the core protocol."""

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.upload.targets.http import Answer, Damaged
from agent.upload.targets.waits import retry_after

#: It speaks no tus there, or another version of it.
_ELSEWHERE = (405, 412, 501)
_WAIT = (404, 408, 409, 410, 423, 425, 429)


def told(answer: Answer, key: str) -> StationError:
    """What to do about a refusal that concerns the clip `key`."""
    status, said = answer.status, str(answer.status)
    if status in (401, 403):
        return AuthFailed(error=said)
    if status in _ELSEWHERE or 300 <= status < 400:
        return AuthFailed("target-no-tus", error=said)
    if status == 460:
        return Damaged(error=said)
    if status == 413:
        return Rejected("target-too-large", key=key)
    if status == 507:
        return TargetFull(error=said)
    if status in _WAIT or status >= 500 or status < 300:
        return Transient(retry_after=retry_after(answer.headers), error=said)
    return Rejected(error=said)


def of_a_question(answer: Answer, key: str) -> StationError:
    """The same where nothing was sent: then there is nothing to reject."""
    error = told(answer, key)
    return Transient(error=str(answer.status)) if isinstance(error, Rejected) else error
