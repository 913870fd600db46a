"""What an S3 server's refusal means. Its code decides, not the status: a 400 may be a slow client, a 403
may be a wrong clock. The codes are those of Amazon S3's "List of error codes", and of servers like it."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.upload.targets.http import Answer, Damaged
from agent.upload.targets.waits import retry_after

_CODE = re.compile(r"[A-Za-z0-9.]{1,64}", re.ASCII)  # it is shown
_WAIT = {
    "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "IncompleteBody", "OperationAborted",
    "ConditionalRequestConflict", "RequestTimeTooShort", "TooManyRequests", "Busy",
}  # fmt: skip
_WHO = {
    "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "InvalidSecurity", "AllAccessDisabled", "AccountProblem", "NotSignedUp", "AuthorizationHeaderMalformed",
    "MissingSecurityHeader",
}  # fmt: skip
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull", "InsufficientCapacity"}
_ELSEWHERE = {"NoSuchBucket", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"}
_DAMAGED = {
    "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "ContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
}  # fmt: skip
_GARBLED = {"MalformedXML"}  # ours is well-formed: it was altered on its way
OTHER_PARTS = {"InvalidPart", "InvalidPartOrder", "NoSuchUpload", *_DAMAGED}
_TOO_LARGE = {"EntityTooLarge", "MaxMessageLengthExceeded", "TooManyParts"}
_NAME = {"KeyTooLongError", "InvalidObjectName", "XMinioInvalidObjectName", "InvalidURI"}


def code_of(answer: Answer) -> str:
    """The `Code` of an error document; empty when the server told none."""
    if not answer.body:
        return ""
    try:
        root = ElementTree.fromstring(answer.body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return ""
    said = next((node.text or "" for node in root.iter() if local(node.tag) == "Code"), "")
    return said if _CODE.fullmatch(said) else ""


def local(tag: str) -> str:
    """A tag without its namespace: not every server gives one."""
    return tag.rpartition("}")[2]


def told(answer: Answer, key: str) -> StationError:
    """What to do about a refusal that concerns the clip `key`."""
    code = code_of(answer)
    said = code or str(answer.status)
    for codes, error in (
        (_DAMAGED | _GARBLED, Damaged(error=said)),
        (_CLOCK, AuthFailed("target-clock", error=said)),
        (_WHO, AuthFailed(error=said)),
        (_ELSEWHERE, AuthFailed("target-no-bucket", error=said)),
        (_FULL, TargetFull(error=said)),
        (_TOO_LARGE, Rejected("target-too-large", key=key)),
        (_NAME, Rejected("target-name", key=key)),
        (_WAIT, Transient(retry_after=retry_after(answer.headers), error=said)),
    ):
        if code in codes:
            return error
    return _by_status(answer.status, answer.headers, said)


def _by_status(status: int, headers: Mapping[str, str], said: str) -> StationError:
    if status in (401, 403):
        return AuthFailed(error=said)
    if 300 <= status < 400:
        return AuthFailed("target-no-bucket", error=said)
    if status == 507:
        return TargetFull(error=said)
    if status in (404, 408, 409, 410, 412, 423, 425, 429) or status >= 500 or status < 300:
        return Transient(retry_after=retry_after(headers), error=said)
    return Rejected(error=said)
