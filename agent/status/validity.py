"""Until when the certificates of a file hold: the one field of X.509 (RFC 5280) that a station looks at.

A library for this would stay in the memory of a board with 1 GiB; the `openssl` program need not be there.
Nothing is believed by what is read here: whoever uses a certificate checks it for himself.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime

_BLOCK = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.+?)-----END (?:TRUSTED |X509 )?CERTIFICATE-----", re.S
)
_UTC_TIME, _GENERALIZED = 0x17, 0x18
_VERSION = 0xA0  # the one field before the others that may be left out


def ends(pem: bytes) -> list[datetime]:
    """`notAfter` of each certificate, in the file's order. Raises ValueError for one that is none."""
    return [_not_after(_decoded(found[1])) for found in _BLOCK.finditer(pem)]


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None


def _not_after(der: bytes) -> datetime:
    body = _first(_first(der))
    fields = [field for field in _fields(body) if field[0] != _VERSION]
    if len(fields) < 4:
        raise ValueError("no certificate")
    _serial, _algorithm, _issuer, validity = fields[:4]
    times = list(_fields(validity[1]))
    if len(times) != 2:
        raise ValueError("no validity")
    return _time(*times[1])


def _first(data: bytes) -> bytes:
    for _tag, content in _fields(data):
        return content
    raise ValueError("empty")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element, one after the other."""
    at = 0
    while at < len(data):
        if len(data) < at + 2:
            raise ValueError("cut off")
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            more = length & 0x7F
            length = int.from_bytes(data[at : at + more], "big")
            at += more
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> datetime:
    """Years of two digits are those from 1950 to 2049."""
    written = content.decode("ascii")
    if tag == _UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    elif tag != _GENERALIZED:
        raise ValueError("no time")
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
