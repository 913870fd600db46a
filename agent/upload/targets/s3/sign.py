"""AWS Signature Version 4, of headers only.

The digest of the body is the manifest's: nothing is read twice. After the specification "Signature
calculations for the Authorization header" of Amazon S3's API reference.
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    key: str
    secret: str = field(repr=False)


def path(key: str) -> str:
    """`key` as it stands in a URL, and as it is signed."""
    return quote(key, safe="/-_.~")


def query(parameters: Mapping[str, str]) -> str:
    """In the order in which it is signed."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    credentials: Credentials,
    region: str,
    method: str,
    host: str,
    where: str,
    asked: str,
    headers: Mapping[str, str],
    body: str,
    now: float | None = None,
) -> dict[str, str]:
    """`headers` with the signature. `where`, `asked`: path and query, encoded; `body`: its SHA-256 in hex;
    `now`: seconds since the epoch."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    every = {name.lower(): value for name, value in headers.items()}
    every |= {"host": host, "x-amz-date": moment, "x-amz-content-sha256": body}
    names = sorted(every)
    told = "".join(f"{name}:{' '.join(every[name].split())}\n" for name in names)
    request = "\n".join((method, where, asked, told, ";".join(names), body))
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.digest(_key(credentials.secret, scope), to_sign.encode(), "sha256").hex()
    every["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return every


@functools.lru_cache(maxsize=8)
def _key(secret: str, scope: str) -> bytes:
    """Kept, since it is another one only every day."""
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key
