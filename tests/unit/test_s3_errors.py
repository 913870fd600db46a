"""A refusal is read by its code: the same status may mean to wait, to act, or to give the clip up."""

import pytest

from agent.errors import AuthFailed, Rejected, TargetFull, Transient
from agent.upload.targets.http import Answer, Damaged
from agent.upload.targets.s3 import errors


def said(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""
    return Answer(status, headers or {}, body.encode())


@pytest.mark.parametrize(
    ("status", "code", "kind", "key"),
    [
        (400, "RequestTimeout", Transient, "target-unreachable"),
        (400, "IncompleteBody", Transient, "target-unreachable"),
        (400, "ExpiredToken", AuthFailed, "target-auth"),
        (400, "BadDigest", Damaged, "target-damaged"),
        (400, "XAmzContentSHA256Mismatch", Damaged, "target-damaged"),
        (400, "MalformedXML", Damaged, "target-damaged"),
        (400, "EntityTooLarge", Rejected, "target-too-large"),
        (400, "KeyTooLongError", Rejected, "target-name"),
        (400, "QuotaExceeded", TargetFull, "target-full"),
        (400, "SomethingNew", Rejected, "target-rejected"),
        (400, "", Rejected, "target-rejected"),
        (403, "RequestTimeTooSkewed", AuthFailed, "target-clock"),
        (403, "SignatureDoesNotMatch", AuthFailed, "target-auth"),
        (403, "QuotaExceeded", TargetFull, "target-full"),
        (403, "", AuthFailed, "target-auth"),
        (404, "NoSuchBucket", AuthFailed, "target-no-bucket"),
        (301, "PermanentRedirect", AuthFailed, "target-no-bucket"),
        (302, "", AuthFailed, "target-no-bucket"),
        (409, "OperationAborted", Transient, "target-unreachable"),
        (423, "", Transient, "target-unreachable"),
        (500, "InternalError", Transient, "target-unreachable"),
        (503, "SlowDown", Transient, "target-unreachable"),
        (507, "", TargetFull, "target-full"),
        (599, "", Transient, "target-unreachable"),
    ],
)
def test_a_code_says_what_to_do(status: int, code: str, kind: type, key: str) -> None:
    error = errors.told(said(status, code), "a/b.mp4")
    assert type(error) is kind
    assert error.key == key


def test_a_server_that_asks_for_time_gets_it() -> None:
    error = errors.told(said(503, "SlowDown", {"Retry-After": "7"}), "a")
    assert isinstance(error, Transient) and error.retry_after == 7
    error = errors.told(said(503, "", {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}), "a")
    assert isinstance(error, Transient) and error.retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"\xff\xfe\x00",
        b"<a/>",
        b"<html>no</html>",
        b"<?xml version='1.0' encoding='nonsense'?><a/>",
    ],
)
def test_what_is_no_error_document_tells_no_code(body: bytes) -> None:
    assert errors.code_of(Answer(400, {}, body)) == ""


def test_a_code_is_found_in_any_namespace() -> None:
    body = b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>SlowDown</Code></Error>'
    assert errors.code_of(Answer(503, {}, body)) == "SlowDown"
