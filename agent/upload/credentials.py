"""Keys of a target, from their file: read anew for each use, so that new ones need no restart.

The file is that of the AWS tools ("Configuration and credential file settings"): a section `default` with
`aws_access_key_id` and `aws_secret_access_key`. Who else could read it knows the keys; so that is refused.
"""

import configparser
import functools
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from agent.errors import AuthFailed
from agent.upload.targets.s3.sign import Credentials

_KEY = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LARGEST = 64 << 10  # bytes
_OTHERS = (
    stat.S_IRWXO | stat.S_IWGRP
)  # the group may read it: on an image it is root's, and the agent's group


def of(name: str) -> Callable[[], Credentials]:
    """`name`: an absolute path, or that of a systemd credential. What is returned raises AuthFailed."""
    return lambda: _parse(_path(name))


def _path(name: str) -> Path:
    if name.startswith("/"):
        return Path(name)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise AuthFailed("credentials-unreadable", path=name, error="no systemd credentials")
    return Path(folder) / name


def _parse(path: Path) -> Credentials:
    text = _read(path)
    try:
        found = _keys(text)
    except (configparser.Error, KeyError):
        # What exactly is wrong with a line would show the line.
        raise AuthFailed("credentials-unusable", path=str(path)) from None
    if not all(map(_KEY.fullmatch, (found.key, found.secret))):
        raise AuthFailed("credentials-odd", path=str(path))
    return found


@functools.lru_cache(maxsize=8)
def _keys(text: str) -> Credentials:
    """Kept, since the same few lines are read for every request."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    section = parser["default"]
    return Credentials(section["aws_access_key_id"].strip(), section["aws_secret_access_key"].strip())


def _read(path: Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise AuthFailed("credentials-unreadable", path=str(path), error=error.strerror) from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise AuthFailed("credentials-unreadable", path=str(path), error="no regular file")
        if found.st_mode & _OTHERS:
            raise AuthFailed("credentials-open", path=str(path), mode=f"{stat.S_IMODE(found.st_mode):04o}")
        return os.read(fd, _LARGEST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthFailed("credentials-unreadable", path=str(path), error=type(error).__name__) from error
    finally:
        os.close(fd)
