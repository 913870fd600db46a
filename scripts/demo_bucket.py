"""The demo's bucket, for its administrator and judge.

Only the signature is the agent's code: a wrong one would be refused. What is asked for, and how the answer is
read, is not, since it judges what the agent has done. After "ListObjectsV2", "GetObject" and "CreateBucket"
of Amazon S3's API reference.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from xml.etree import ElementTree

import requests

from agent.upload.targets.s3 import sign
from scripts.demo_process import DemoError
from scripts.weed import Identity

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
ANSWER_WITHIN = 60.0  # seconds, for each piece


class Bucket:
    """`host`: with its port. Every method raises DemoError."""

    def __init__(self, host: str, name: str, identity: Identity) -> None:
        self._host, self._name = host, name
        self._keys = sign.Credentials(identity.access, identity.secret)
        self._session = requests.Session()
        self._session.trust_env = False

    def make(self) -> None:
        """With object lock, which cannot be switched on everywhere later."""
        with self._asked("PUT", headers={"x-amz-bucket-object-lock-enabled": "true"}):
            pass

    def names(self) -> Iterator[str]:
        """Of all objects."""
        query = {"list-type": "2"}
        while True:
            with self._asked("GET", query=query) as answer:
                page = ElementTree.fromstring(answer.content)
            yield from (node.text or "" for node in page.iter(f"{NAMESPACE}Key"))
            following = page.findtext(f"{NAMESPACE}NextContinuationToken")
            if not following:
                return
            query["continuation-token"] = following

    def digest(self, name: str) -> str:
        """SHA-256 in hex of the bytes that the server gives out."""
        hasher = hashlib.sha256()
        with self._asked("GET", name) as answer:
            for piece in answer.iter_content(1 << 20):
                hasher.update(piece)
        return hasher.hexdigest()

    @contextmanager
    def _asked(
        self,
        method: str,
        name: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        where, asked = f"/{self._name}" + (f"/{sign.path(name)}" if name else ""), sign.query(query or {})
        signed = sign.signed(
            self._keys, "us-east-1", method, self._host, where, asked, headers or {}, sign.EMPTY
        )
        try:
            with self._session.request(
                method,
                f"http://{self._host}{where}?{asked}",
                headers=signed,
                stream=True,
                timeout=ANSWER_WITHIN,
            ) as answer:
                if answer.status_code != 200:
                    raise DemoError(
                        f"the bucket answers {method} {where} with {answer.status_code}: {answer.text}"
                    )
                yield answer
        except requests.RequestException as e:
            raise DemoError(f"the bucket does not answer {method} {where}: {e}") from e
