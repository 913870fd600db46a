"""HTTP as targets speak it: no redirects, no environment, bounded waits, bodies straight from the clip.

urllib3 does the talking. What can go wrong on the way is told as what to do about it, and an answer is
never larger in memory than was asked for.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError, SSLError, TimeoutError
from urllib3.util import parse_url

from agent.errors import AuthFailed, NotEqual, StationError, Transient
from agent.upload.targets.base import LocalReader

#: Seconds. The first also bounds each piece of a body that is sent, the second each piece of an answer.
TIMEOUTS = (30.0, 120.0)
WHOLE = 600.0  # seconds until an answer that is taken into memory must be there, however it drips
#: Bytes of a body at a time, either way. Over 64 kbit/s a piece passes in half of the time that it may take;
#: reading back in pieces of 1 MiB cost several MiB of memory.
PIECE = 128 << 10
_ANSWER_MAX = 16 << 20  # bytes of an answer that is taken into memory: a manifest at most
#: What OpenSSL says when a file holds no certificate or key, or the server wants another one.
_OF_CERTIFICATES = ("certificate", "unknown ca", "pem lib", "x509", "no start line", "key values mismatch")
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})  # their length is told even when it is 0
_PARALLEL = 8  # connections kept open; uploaders are fewer


@dataclass(frozen=True, slots=True)
class Line:
    """How to reach a server. `ca`: the only authorities that count; `certificate`: ours, with its key."""

    ca: Path | None = None
    certificate: tuple[Path, Path] | None = None
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes = b""


class Damaged(Transient):
    """What arrived is not what its checksum says: on the way, or on our disk."""

    key = "target-damaged"


class Part:
    """`length` bytes of the stored clip from `offset`, as the body of a request."""

    def __init__(self, reader: LocalReader, offset: int, length: int) -> None:
        self._reader, self._offset, self._length = reader, offset, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """Raises NotEqual when the file ends before its time: the request is then never completed."""
        at, end = self._offset, self._offset + self._length
        while at < end:
            data = self._reader.pread(min(PIECE, end - at), at)
            if not data:
                raise NotEqual(why="short")
            at += len(data)
            yield data


class Wire:
    """One server. Used by several uploaders at the same time."""

    def __init__(
        self,
        line: Line,
        timeouts: tuple[float, float] = TIMEOUTS,
        whole: float = WHOLE,
        heard: Callable[[str], object] = lambda date: None,
    ) -> None:
        """`heard` is told what time it is, whenever a server says so that proved who it is."""
        self._heard = heard
        self._timeouts, self._whole = Timeout(connect=timeouts[0], read=timeouts[1]), whole
        self._files = [line.ca] if line.ca else []
        self._files += line.certificate or ()
        # Pools alone: what follows redirects, keeps cookies and believes the environment costs more for each
        # request than to send it.
        self._pools = _pools(line)
        self._pool: tuple[str, HTTPConnectionPool] | None = None  # of the server, when there is no proxy

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Part = b"") -> Answer:
        """The whole answer, whatever its status. Raises Transient or AuthFailed when there is none."""
        with self._response(method, url, headers, body) as response, told():
            data = bytearray()
            end = time.monotonic() + self._whole  # of the answer alone: a part may take its time
            while piece := response.read1(PIECE):  # what there is: `read` would wait for all of it
                data += piece
                if len(data) > _ANSWER_MAX:
                    raise Transient("target-answer", why="too long")
                if time.monotonic() > end:
                    raise Transient("target-silent")
            return Answer(response.status, response.headers, bytes(data))

    @contextmanager
    def asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Part = b""
    ) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """The answer, and its body piece by piece, each up to PIECE bytes, as they come."""
        with self._response(method, url, headers, body) as response:
            yield Answer(response.status, response.headers), _pieces(response, self._whole)

    @contextmanager
    def _response(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Part
    ) -> Iterator[BaseHTTPResponse]:
        length = {"Content-Length": str(len(body))} if body or method in _WITH_BODY else {}
        with told():
            for file in self._files:
                file.stat()  # which names it: what TLS says of a file that is missing does not
            pool, target = self._way(url)
            response = pool.urlopen(
                method,
                target,
                body=body or None,  # a part is something to iterate over
                headers={"Accept-Encoding": "identity", **length, **headers},
                timeout=self._timeouts,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if url.startswith("https:"):
                self._heard(response.headers.get("Date", ""))
        try:
            yield response
        finally:
            response.close()  # and the connection with it, unless all was read
            response.release_conn()

    def _way(self, url: str) -> tuple[PoolManager | HTTPConnectionPool, str]:
        """Who takes it, and what it is to be asked. To find the same pool anew costs as much as to sign."""
        end, known = url.find("/", url.find("//") + 2), self._pool
        if isinstance(self._pools, ProxyManager) or end < 0:
            return self._pools, url
        if known is None or known[0] != url[:end]:
            self._pool = known = url[:end], self._pools.connection_from_url(url)
        return known[1], url[end:]


def _pools(line: Line) -> PoolManager:
    certificate, key = map(str, line.certificate) if line.certificate else (None, None)
    told: dict[str, Any] = {
        "num_pools": 4,  # one is in use, unless the server sends us elsewhere
        "maxsize": _PARALLEL,
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": str(line.ca or certifi.where()),
        "cert_file": certificate,
        "key_file": key,
    }
    if not line.proxy:
        return PoolManager(**told)
    who = parse_url(line.proxy).auth
    return ProxyManager(line.proxy, proxy_headers=make_headers(proxy_basic_auth=who), **told)


def _pieces(response: BaseHTTPResponse, whole: float) -> Iterator[bytes]:
    """What there is, so that who reads may stop at any time; each MiB within `whole` seconds."""
    with told():
        size, end = 0, time.monotonic() + whole
        while piece := response.read1(PIECE):
            yield piece
            size += len(piece)
            if size >= 1 << 20:
                size, end = 0, time.monotonic() + whole
            elif time.monotonic() > end:
                raise Transient("target-silent")


@contextmanager
def told() -> Iterator[None]:
    """What a failure on the way means. What the reader or a check raises passes unchanged."""
    try:
        yield
    except StationError:
        raise
    except ProxyError as error:
        raise Transient("target-proxy", error=_reason(error)) from error
    except SSLError as error:
        raise _of_tls(error) from error
    except HTTPError as error:
        if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
            raise Transient("target-silent") from error
        raise Transient(error=_reason(error)) from error
    except ValueError as error:  # of a header that no text can be made of
        raise Transient(error=type(error).__name__) from error
    except OSError as error:  # an authority's or a certificate's file
        raise AuthFailed("target-certificate", error=str(error)) from error


def _of_tls(error: SSLError) -> StationError:
    """A certificate needs somebody to act; a record that was damaged on its way does not."""
    said = str(error).lower()
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return AuthFailed("target-certificate", error=cause.verify_message)
        cause = cause.__cause__ or cause.__context__
    if any(word in said for word in _OF_CERTIFICATES):
        return AuthFailed("target-certificate", error=_reason(error))
    return Transient("target-tls", error=_reason(error))


def _reason(error: Exception) -> str:
    """The innermost cause in a word or two: the whole text would repeat the address, and what is in it."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return getattr(cause, "strerror", None) or type(cause).__name__
