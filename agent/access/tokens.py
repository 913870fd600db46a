"""Tokens of machines, which see the status with names masked, and metrics. Shown once; only the hash is kept.

A secret of 256 random bits needs no slow hash: nobody guesses it.
"""

import hashlib
import re
import secrets

PREFIX = "rst_"  # by which a secret is recognised where it does not belong
_BYTES = 32
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)


def make() -> str:
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest(secret: str) -> bytes | None:
    """None of what is no token."""
    return hashlib.sha256(secret.encode("ascii")).digest() if _TOKEN.fullmatch(secret) else None
