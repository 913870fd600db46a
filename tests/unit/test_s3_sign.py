"""Signatures are those of the specification, and the secret is in nothing that is sent or shown."""

import pytest

from agent.upload.targets.s3 import sign

WHO = sign.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WHEN = 1369353600.0  # 2013-05-24 00:00 UTC, the moment of the specification's examples
HOST = "examplebucket.s3.amazonaws.com"
PUT_BODY = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

#: Amazon S3 API Reference, "Examples: Signature calculations".
EXAMPLES = [
    (
        "GET", "test.txt", {}, {"Range": "bytes=0-9"}, sign.EMPTY,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT", "test$file.text", {},
        {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}, PUT_BODY,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        "GET", "", {"lifecycle": ""}, {}, sign.EMPTY,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        "GET", "", {"max-keys": "2", "prefix": "J"}, {}, sign.EMPTY,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "key", "asked", "headers", "body", "signature"), EXAMPLES)
def test_a_signature_is_that_of_the_specification(
    method: str, key: str, asked: dict[str, str], headers: dict[str, str], body: str, signature: str
) -> None:
    sent = sign.signed(
        WHO, "us-east-1", method, HOST, "/" + sign.path(key), sign.query(asked), headers, body, WHEN
    )
    assert sent["authorization"].endswith(f"Signature={signature}")


def test_the_secret_is_neither_sent_nor_shown() -> None:
    sent = sign.signed(WHO, "us-east-1", "GET", HOST, "/", "", {}, sign.EMPTY)
    assert WHO.secret not in repr(sent)
    assert WHO.secret not in repr(WHO)


def test_a_key_of_any_letters_is_one_path() -> None:
    assert sign.path("王伟/a b+c?.mp4") == "%E7%8E%8B%E4%BC%9F/a%20b%2Bc%3F.mp4"
    assert sign.query({"uploadId": "a/b=", "partNumber": "1"}) == "partNumber=1&uploadId=a%2Fb%3D"
