"""One bucket: the few requests that carry a clip, each signed, none repeated.

Objects by path-style address, which every server knows. The checksums are those of S3's "Checking object
integrity": SHA-256 of each part, and over the parts' digests for an object made of parts.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from agent.errors import AuthFailed, Rejected, Transient
from agent.upload.targets.http import Answer, Part, Wire
from agent.upload.targets.s3 import errors, sign

_COMPOSITE = re.compile(r"([A-Za-z0-9+/]{43}=)-([0-9]{1,5})", re.ASCII)
_WHOLE = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_IN_HEX = re.compile("[0-9a-f]{64}", re.ASCII)
_DIGEST, _TELL_DIGEST = "x-amz-checksum-sha256", {"x-amz-checksum-mode": "ENABLED"}
_ONCE = {"If-None-Match": "*"}
_LISTED = 1000  # keys of a page: as many as servers give
_PIECES_OF_AN_ERROR = 16  # at most: its document is a few hundred bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What the server says about an object. `digest`: hex, with `-N` behind it for one of N parts; empty
    when it tells none."""

    size: int
    digest: str
    headers: Mapping[str, str]  # names in any case


@dataclass(frozen=True, slots=True)
class Row:
    """A part as the server lists it."""

    number: int  # from 1
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that was begun; `at` in seconds since the epoch, by the server's clock."""

    key: str
    upload: str
    at: float


class Bucket:
    """`url` of the server, without the bucket. Every method raises Transient, TargetFull, AuthFailed or
    Rejected for `key`."""

    def __init__(
        self,
        wire: Wire,
        url: str,
        name: str,
        credentials: Callable[[], sign.Credentials],
        region: str = "us-east-1",
    ) -> None:
        """`credentials` are asked for with every request; who gives them may raise AuthFailed."""
        self._wire = wire
        parts = urlsplit(url)
        self._origin, self._host = f"{parts.scheme}://{parts.netloc}", parts.netloc
        self._root = sign.path(unquote(parts.path).rstrip("/")) + "/" + sign.path(name)
        self._credentials, self._region = credentials, region

    def head(self, key: str) -> Head | None:
        """None when there is no such object."""
        try:
            answer = self._ask("HEAD", key, headers=_TELL_DIGEST, fine=(200, 404))
        except (AuthFailed, Rejected) as error:
            self.empty()  # an answer to HEAD has no room for the reason: this one tells it
            if isinstance(error, AuthFailed):
                raise
            raise Transient(error=str(error.params.get("error", ""))) from error
        if answer.status == 404:
            return None
        said = answer.headers.get(_DIGEST, "")
        try:
            size = int(answer.headers["Content-Length"])
        except (KeyError, ValueError) as error:
            raise Transient("target-answer", why="no size") from error
        return Head(size, _hex(said), answer.headers)

    def get(self, key: str) -> bytes | None:
        """A small object, whole, as the server says that it is: a manifest that a bit on the way made another
        one would be somebody else's, and a mark another store's."""
        answer = self.fetch(key)
        return answer.body if answer else None

    def fetch(self, key: str) -> Answer | None:
        """The same with its headers."""
        answer = self._ask("GET", key, headers=_TELL_DIGEST, fine=(200, 404))
        if answer.status == 404:
            return None
        said = _hex(answer.headers.get(_DIGEST, ""))
        if _IN_HEX.fullmatch(said) and said != hashlib.sha256(answer.body).hexdigest():
            raise Transient("target-answer", why="damaged")
        return answer

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes] | None]:
        """An object piece by piece; None when it is not there."""
        url, headers = self._signed("GET", key, {}, {}, sign.EMPTY)
        with self._wire.asked("GET", url, headers) as (answer, pieces):
            if answer.status == 404:
                yield None
            elif answer.status == 200:
                yield pieces
            else:
                why = b"".join(islice(pieces, _PIECES_OF_AN_ERROR))
                raise errors.told(Answer(answer.status, answer.headers, why), key)

    def put(
        self,
        key: str,
        body: bytes | Part,
        digest: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        replace: bool = False,
    ) -> bool:
        """Write an object whole. False, and nothing is changed, when there is one and it is not to be
        replaced. `digest`: the SHA-256 of `body`."""
        sent = {**(headers or {}), **checksum(digest), **({} if replace else _ONCE)}
        answer = self._ask("PUT", key, headers=sent, body=body, digest=digest, fine=(200, 412))
        if answer.status == 412:
            return False
        _in_earnest(answer, key)
        return True

    def locks(self) -> bool:
        """Whether objects can be locked here. Not as far as we know when we may not ask."""
        try:
            answer = self._ask("GET", "", {"object-lock": ""}, fine=(200, 404, 405, 501))
        except AuthFailed as error:
            if error.params.get("error") == "AccessDenied":
                return False
            raise
        except Rejected:  # a server that has never heard of it: what it refuses is the question, and no clip
            return False
        return answer.status == 200 and text_of(xml_of(answer), "ObjectLockEnabled") == "Enabled"

    def change(self, key: str, what: str, document: bytes) -> None:
        """Write a property of an object that is there, such as `retention`."""
        digest = hashlib.sha256(document).digest()
        self._ask("PUT", key, {what: ""}, headers=checksum(digest), body=document, digest=digest)

    def create(self, key: str, headers: Mapping[str, str]) -> str:
        """Begin an object of parts; its upload id."""
        sent = {**headers, "x-amz-checksum-algorithm": "SHA256"}
        answer = self._ask("POST", key, {"uploads": ""}, headers=sent)
        for node in xml_of(answer).iter():
            if errors.local(node.tag) == "UploadId" and node.text:
                return node.text
        raise Transient("target-answer", why="no upload id")

    def send(self, key: str, upload: str, number: int, part: Part, digest: bytes) -> bool:
        """One part. False when the server does not know the upload any more."""
        asked = {"partNumber": str(number), "uploadId": upload}
        headers = checksum(digest)
        answer = self._ask("PUT", key, asked, headers=headers, body=part, digest=digest, fine=(200, 404))
        return answer.status == 200

    def parts(self, key: str, upload: str) -> list[Row] | None:
        """All parts that the server has, as it lists them; None when it does not know the upload."""
        found, after, page = list[Row](), "0", dict[str, str]()
        while True:
            # Only where the server itself ends a page: SeaweedFS passes over parts at the others.
            answer = self._ask("GET", key, {"uploadId": upload, **page}, fine=(200, 404))
            if answer.status == 404:
                return None
            root = xml_of(answer)
            found += _rows(root)
            following = text_of(root, "NextPartNumberMarker")
            if text_of(root, "IsTruncated") != "true" or not _growing(after, following):
                return found
            after, page = following, {"part-number-marker": following}

    def complete(
        self, key: str, upload: str, rows: Sequence[Row], digests: Sequence[bytes], *, replace: bool = False
    ) -> bool | None:
        """Make one object of all parts. False when there is an object that is not to be replaced; None when
        the server does not know the upload, or has other parts than these."""
        body = _list(rows, digests)
        headers = {"Content-Type": "application/xml", **({} if replace else _ONCE)}
        answer = self._ask(
            "POST", key, {"uploadId": upload}, headers=headers, body=body,
            digest=hashlib.sha256(body).digest(), fine=(200, 400, 404, 412),
        )  # fmt: skip
        if answer.status == 404 or errors.code_of(answer) in errors.OTHER_PARTS:
            return None
        if answer.status == 412:
            return False
        if answer.status == 400:
            raise errors.told(answer, key)
        _in_earnest(answer, key)
        return True

    def abort(self, key: str, upload: str) -> None:
        """Forget an upload. One that is not known is forgotten already."""
        self._ask("DELETE", key, {"uploadId": upload}, fine=(200, 204, 404))

    def uploads(self, prefix: str) -> tuple[list[Begun], float]:
        """Every upload of parts below `prefix` that is neither finished nor aborted; the server's time."""
        found, page = list[Begun](), dict[str, str]()
        while True:
            answer = self._ask("GET", "", {"uploads": "", "prefix": prefix, **page})
            root = xml_of(answer)
            found += _begun(root)
            following = {
                "key-marker": text_of(root, "NextKeyMarker"),
                "upload-id-marker": text_of(root, "NextUploadIdMarker"),
            }
            ends = text_of(root, "IsTruncated") != "true" or not all(following.values())
            if ends or (page and tuple(following.values()) <= tuple(page.values())):
                return found, _date(answer)
            page = following

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Every object below `prefix` whose key is greater than `after`, page by page as they are read."""
        while found := self.listed(prefix, after=after, most=_LISTED):
            yield from found
            if (last := max(found)) <= after:  # a server that goes round in circles would never end
                return
            after = last

    def listed(self, prefix: str, *, after: str, most: int) -> dict[str, str]:
        """Up to `most` objects below `prefix` whose keys come behind `after`, with their ETags: of an object
        that was put whole that is its MD5 in hex, where the server does not keep it encrypted."""
        asked = {"list-type": "2", "prefix": prefix, "start-after": after, "max-keys": str(most)}
        root = xml_of(self._ask("GET", "", asked))
        rows = [node for node in root if errors.local(node.tag) == "Contents"]
        return {text_of(row, "Key"): text_of(row, "ETag").strip('"') for row in rows}

    def empty(self) -> bool:
        return not any(errors.local(node.tag) == "Contents" for node in xml_of(self._first()).iter())

    def now(self) -> float:
        """The server's clock, in seconds since the epoch."""
        return _date(self._first())

    def _first(self) -> Answer:
        return self._ask("GET", "", {"list-type": "2", "max-keys": "1"})

    def _ask(
        self,
        method: str,
        key: str,
        asked: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Part = b"",
        digest: bytes = b"",
        fine: tuple[int, ...] = (200,),
    ) -> Answer:
        url, sent = self._signed(method, key, asked or {}, headers or {}, digest.hex() or sign.EMPTY)
        answer = self._wire.ask(method, url, sent, body)
        if answer.status not in fine or (answer.status == 404 and errors.code_of(answer) == "NoSuchBucket"):
            raise errors.told(answer, key)
        return answer

    def _signed(
        self, method: str, key: str, asked: Mapping[str, str], headers: Mapping[str, str], body: str
    ) -> tuple[str, dict[str, str]]:
        where = f"{self._root}/{sign.path(key)}" if key else self._root
        query = sign.query(asked)
        sent = sign.signed(self._credentials(), self._region, method, self._host, where, query, headers, body)
        return f"{self._origin}{where}" + (f"?{query}" if query else ""), sent


def _in_earnest(answer: Answer, key: str) -> None:
    """A 200 is sent before the work is done, and may turn out an error."""
    if errors.code_of(answer):
        raise errors.told(Answer(500, answer.headers, answer.body), key)


def checksum(digest: bytes) -> dict[str, str]:
    return {_DIGEST: base64.b64encode(digest).decode("ascii")}


def _hex(said: str) -> str:
    if found := _COMPOSITE.fullmatch(said):
        return f"{base64.b64decode(found[1]).hex()}-{int(found[2])}"
    return base64.b64decode(said).hex() if _WHOLE.fullmatch(said) else ""


def xml_of(answer: Answer) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(answer.body)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Transient("target-answer", why="no XML") from error


def text_of(root: ElementTree.Element, name: str) -> str:
    return next((node.text or "" for node in root if errors.local(node.tag) == name), "")


def _rows(root: ElementTree.Element) -> Iterator[Row]:
    for node in root:
        if errors.local(node.tag) == "Part":
            try:
                yield Row(int(text_of(node, "PartNumber")), int(text_of(node, "Size")), text_of(node, "ETag"))
            except ValueError as error:
                raise Transient("target-answer", why="no part") from error


def _begun(root: ElementTree.Element) -> Iterator[Begun]:
    for node in root:
        if errors.local(node.tag) == "Upload":
            at = _seconds(datetime.fromisoformat, text_of(node, "Initiated"))
            yield Begun(text_of(node, "Key"), text_of(node, "UploadId"), at)


def _seconds(parse: Callable[[str], datetime], text: str) -> float:
    try:
        return parse(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise Transient("target-answer", why="no time") from error


def _date(answer: Answer) -> float:
    return _seconds(parsedate_to_datetime, answer.headers.get("Date", ""))


def _growing(before: str, after: str) -> bool:
    """Whether a page of parts leads on: a server that goes round in circles would never end."""
    return re.fullmatch("[0-9]{1,5}", after, re.ASCII) is not None and int(after) > int(before)


def _list(rows: Sequence[Row], digests: Sequence[bytes]) -> bytes:
    """What to make the object of. With the digests, so that a server that knows them compares once more."""
    root = ElementTree.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    for row, digest in zip(rows, digests, strict=True):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(row.number)
        ElementTree.SubElement(part, "ETag").text = row.etag
        ElementTree.SubElement(part, "ChecksumSHA256").text = base64.b64encode(digest).decode("ascii")
    return bytes(ElementTree.tostring(root, encoding="utf-8"))
