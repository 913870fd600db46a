"""A mounted share or a local folder as the centre.

    .recorder-station-target   the mark: this is the share, and not the empty folder it is mounted on
    clips/<key>                a clip, whole, never replaced
    clips/<key>.json           its manifest; laid first, so a clip is never seen without one
    incoming/<token>.part      a transfer under way
    incoming/<name>.document   what a station was telling when it was cut off
    damaged/<token>.*.clip     a copy of ours that did not read back equal; set aside, never deleted
    stations/<path>            what stations tell about themselves

The mark is made at first contact only, in a folder that is empty. A station that has been in touch with
this target there before does not make it again: a folder without the mark is then a share that is not
mounted. At first contact itself the file system tells: what lies on the station's own is no share.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from agent.errors import NotEqual, Rejected, Transient
from agent.model import Lock, Manifest, Receipt, StoredClip, printable, spans
from agent.upload.targets import collected, document, documents, keys, share
from agent.upload.targets.base import Check, LocalReader, go_on

MARK = ".recorder-station-target"
_CLIPS, _INCOMING, _DAMAGED = "clips", "incoming", "damaged"
_TOKEN = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")
_LAID = re.compile(r"[0-9a-f]{32}\.document")
_MANIFEST_MAX = 64 << 20  # bytes read of what lies where a manifest should be
_MARK_MAX = 4096
_FEW = 1000  # names between two signs of life
_DOCUMENT_AGE = 3600.0  # seconds after which nobody lays one any more: it takes a moment
_log = logging.getLogger(__name__)


class _There(Enum):
    """What lies under a clip's key."""

    NOTHING = "nothing"
    OURS = "ours"
    DAMAGED = "damaged"  # the manifest beside it is this clip's, the content is not


class FolderTarget:
    """`first_contact`: this station has never been in touch with it, so it may make the mark. `never_on`:
    paths on whose file systems it cannot lie; there the folder is the mount point of a missing share."""

    def __init__(
        self, name: str, root: Path, *, first_contact: bool, never_on: Collection[Path] = ()
    ) -> None:
        self.name = name
        self.locking = False
        self.root = root
        self.address = str(root)
        self._may_mark = first_contact
        self._marking = threading.Lock()  # our own uploaders need not get in each other's way
        self._never_on = tuple(never_on)

    def place(self) -> str:
        with self._share(MARK) as (_, place):
            return place

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        keys.components(clip.key)
        with self._share(clip.key):
            # Half of it is chance: two stations that hold the same clip must not share a partial.
            return f"{hashlib.sha256(os.fsencode(clip.key)).hexdigest()[:16]}-{secrets.token_hex(8)}"

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        part = _partial(token)
        with self._share(clip.key) as (root, _), share.folder(root, [_INCOMING], create=True) as incoming:
            if _what_is_there(root, clip, check) is _There.OURS:
                return clip.manifest.size
            try:
                with share.opened(incoming, part, os.O_RDWR) as fd:
                    if os.fstat(fd).st_nlink == 1:
                        return _cut_to_what_is_good(fd, clip.manifest, check)
            except FileNotFoundError:
                return 0
            # It shares its bytes with something that was published: never cut or write those.
            check()
            share.forget(incoming, part)
            return 0

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        expected = _digest_of_part(clip.manifest, offset, length)
        flags = os.O_WRONLY | (os.O_CREAT if offset == 0 else 0)
        with self._share(clip.key) as (root, _), share.folder(root, [_INCOMING], create=True) as incoming:
            try:
                with share.opened(incoming, _partial(token), flags) as fd:
                    state = os.fstat(fd)
                    if state.st_size < offset or state.st_nlink != 1:
                        raise Transient("token-lost")
                    if _copy(reader, fd, offset, length) != expected:
                        os.ftruncate(fd, offset)
                        raise NotEqual(part=offset // clip.manifest.part_size)
                    os.fdatasync(fd)  # what `position` reports must survive the server's power cut
            except FileNotFoundError as error:
                raise Transient("token-lost") from error
        return token

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        *folders, name = keys.components(clip.key)
        with (
            self._share(clip.key) as (root, _),
            share.folder(root, [_INCOMING], create=True) as incoming,
            share.folder(root, [_CLIPS, *folders], create=True) as place,
        ):
            there = _what_is_there(root, clip, check)
            if there is not _There.OURS:
                _sync_whole(incoming, _partial(token), clip.manifest)
            # The last look: once a damaged copy is set aside, nothing may come between that and `publish`.
            check()
            if there is _There.DAMAGED:
                self._set_aside(root, place, name, token)
            _lay_manifest(incoming, token, place, name, clip)
            if there is _There.OURS:
                share.forget(incoming, _partial(token))
            else:
                share.publish(incoming, _partial(token), place, name)
            share.sync_folder(place)
            share.sync_folder(incoming)

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        *folders, name = keys.components(clip.key)
        with self._share(clip.key) as (root, mark):
            try:
                with share.folder(root, [_CLIPS, *folders]) as place:
                    with share.opened(place, name, os.O_RDONLY) as fd:
                        share.drop_cache(fd)
                        size, sha256 = share.digest(fd, 0, None, check)
                    if not document.describes(_beside(place, name), clip.manifest):
                        raise Transient("not-there", what="manifest")
            except FileNotFoundError as error:
                raise Transient("not-there", what="clip") from error
        return Receipt(str(self.root / _CLIPS / clip.key), size, sha256.hex(), time.time(), mark)

    def read(self, clip: StoredClip, token: str, check: Check = go_on) -> Iterator[bytes]:
        *folders, name = keys.components(clip.key)
        with self._share(clip.key) as (root, _):
            try:
                with (
                    share.folder(root, [_CLIPS, *folders]) as place,
                    share.opened(place, name, os.O_RDONLY) as fd,
                ):
                    share.drop_cache(fd)
                    yield from share.pieces(fd, check)
            except FileNotFoundError as error:
                raise Transient("not-there", what="clip") from error

    def holds(self, clip: StoredClip, token: str) -> bool:
        *folders, name = keys.components(clip.key)
        with self._share(clip.key) as (root, _):
            try:
                with (
                    share.folder(root, [_CLIPS, *folders]) as place,
                    share.opened(place, name, os.O_RDONLY) as fd,
                ):
                    same = os.fstat(fd).st_size == clip.manifest.size
                    return same and document.describes(_beside(place, name), clip.manifest)
            except FileNotFoundError:
                return False

    def protect(self, clip: StoredClip, token: str) -> Lock:
        return Lock()

    def now(self) -> float:
        with self._share(MARK) as (root, _), share.folder(root, [_INCOMING], create=True) as incoming:
            return share.now(incoming)

    def sweep(self, under_way: Collection[str], age: float) -> int:
        swept = 0
        with self._share(MARK) as (root, _), share.folder(root, [_INCOMING], create=True) as incoming:
            now = share.now(incoming)
            for name in os.listdir(incoming):  # noqa: PTH208 - an open folder has no path
                if (kept := _kept_for(name, under_way, age)) is None:
                    continue
                with suppress(FileNotFoundError):  # another station sweeps, too
                    if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime < now - kept:
                        os.unlink(name, dir_fd=incoming)
                        swept += 1
        return swept

    def abort(self, clip: StoredClip, token: str) -> None:
        with self._share(clip.key) as (root, _), share.folder(root, [_INCOMING], create=True) as incoming:
            share.forget(incoming, _partial(token))
            share.forget(incoming, token + keys.MANIFEST)

    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        *folders, name = documents.components(path, data)
        temp = f"{secrets.token_hex(16)}.document"  # swept, should it be left behind
        with (
            self._share(path) as (root, _),
            share.folder(root, [_INCOMING], create=True) as incoming,
            share.folder(root, [documents.FOLDER, *folders], create=True) as place,
        ):
            check()
            # An empty file is a name that was claimed, by somebody who did not come back.
            replace = replace or _size(place, name) == 0
            try:
                share.lay(incoming, temp, place, name, data, replace=replace)
            except FileExistsError:
                share.forget(incoming, temp)
                return False
        return True

    def fetch(self, path: str, check: Check = go_on) -> bytes | None:
        *folders, name = documents.components(path)
        with self._share(path) as (root, _):
            try:
                with share.folder(root, [documents.FOLDER, *folders]) as place:
                    return _content(place, name, documents.LARGEST)
            except FileNotFoundError:
                return None

    def collected(self, recorder: str, since: str = "", check: Check = go_on) -> Iterator[str]:
        recorder = collected.folder(recorder)
        with self._share(recorder) as (root, _):
            try:
                with share.folder(root, [_CLIPS, recorder]) as place:
                    days = [day for day in _names(place, check) if day >= since]
                    for day in days:
                        with suppress(NotADirectoryError), share.folder(place, [day]) as folder:
                            for name in _names(folder, check):
                                if collected.is_clip(key := f"{recorder}/{day}/{name}"):
                                    yield key
            except FileNotFoundError:
                return

    def _set_aside(self, root: int, place: int, name: str, token: str) -> None:
        _log.warning("%s: %s did not read back equal, set aside", self.name, printable(name))
        with share.folder(root, [_DAMAGED], create=True) as damaged:
            # A name of its own each time: a crash inside `publish` may have left the last one behind.
            share.publish(place, name, damaged, f"{token}.{secrets.token_hex(4)}.clip")
            share.sync_folder(damaged)

    @contextmanager
    def _share(self, key: str) -> Iterator[tuple[int, str]]:
        """(open root of the share, its place), once it is certain that it is the share."""
        try:
            root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._not_mounted() from error
        except OSError as error:
            raise share.told(error, key) from error
        try:
            yield root, self._recognise(root)
        except OSError as error:
            raise share.told(error, key) from error
        finally:
            os.close(root)

    def _recognise(self, root: int) -> str:
        if os.fstat(root).st_dev in {path.stat().st_dev for path in self._never_on}:
            raise self._not_mounted()
        place = _mark(root)
        if place is None:
            if not self._may_mark:
                raise self._not_mounted()
            with self._marking:
                if (place := _mark(root)) is None:
                    self._make_the_mark(root)
                    place = _mark(root)
        if not place:
            raise Transient("target-mark-damaged", path=str(self.root / MARK))
        self._may_mark = False
        return place

    def _not_mounted(self) -> Transient:
        return Transient("target-not-mounted", path=str(self.root))

    def _make_the_mark(self, root: int) -> None:
        there = os.listdir(root)
        if any(name != "lost+found" and not name.startswith(MARK) for name in there):
            raise Transient("target-not-empty", path=str(self.root))
        for name in there:
            if name.startswith(MARK + "."):  # of one that was killed here; one that lives will try again
                share.forget(root, name)
        identity = json.dumps({"format": 1, "id": str(uuid.uuid4())}).encode()
        temp = f"{MARK}.{secrets.token_hex(4)}"
        try:
            share.lay(root, temp, root, MARK, identity, replace=False)
        except FileExistsError:  # another station was quicker
            share.forget(root, temp)


def _names(folder: int, check: Check) -> Iterator[str]:
    """Of what lies in an open folder, as it is read."""
    with os.scandir(folder) as found:
        for number, entry in enumerate(found):
            if number % _FEW == 0:
                check()
            yield entry.name


def _mark(root: int) -> str | None:
    """The id in the mark; None without a mark, empty when it tells none."""
    try:
        with share.opened(root, MARK, os.O_RDONLY) as fd:
            said = json.loads(os.pread(fd, _MARK_MAX, 0))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return ""
    place = said.get("id") if isinstance(said, dict) else None
    return place if isinstance(place, str) else ""


def _partial(token: str) -> str:
    """Raises Transient `token-lost` for what can be no token of ours: it becomes part of a path."""
    if not _TOKEN.fullmatch(token):
        raise Transient("token-lost")
    return f"{token}.part"


def _kept_for(name: str, under_way: Collection[str], age: float) -> float | None:
    """Seconds after which what lies in `incoming` was left behind; None when it was not, or is not ours."""
    if _LAID.fullmatch(name):
        return min(age, _DOCUMENT_AGE)
    token = name.removesuffix(".part").removesuffix(keys.MANIFEST)
    return age if _TOKEN.fullmatch(token) and token not in under_way else None


def _digest_of_part(manifest: Manifest, offset: int, length: int) -> bytes:
    index, rest = divmod(offset, manifest.part_size)
    if rest or length != min(manifest.part_size, manifest.size - offset):
        raise ValueError(f"{offset}+{length} is no part of this clip")
    return manifest.parts[index]


def _copy(reader: LocalReader, fd: int, offset: int, length: int) -> bytes:
    """Copy what the reader gives, at most `length`; return the SHA-256 of that."""
    hasher, end = hashlib.sha256(), offset + length
    while offset < end and (data := reader.pread(min(share.CHUNK, end - offset), offset)):
        hasher.update(data)
        share.write_all(fd, data, offset)
        offset += len(data)
    return hasher.digest()


def _cut_to_what_is_good(fd: int, manifest: Manifest, check: Check) -> int:
    """Drop what is beyond the last part that reads back equal; return what is left.

    Earlier parts were synced before a later one was begun. They are not read again here (a slow link
    that breaks often would never get anywhere) but in `verify`."""
    share.drop_cache(fd)
    size = os.fstat(fd).st_size
    good = 0
    for (offset, length), expected in reversed(list(zip(_parts(manifest), manifest.parts, strict=True))):
        if offset + length <= size and share.digest(fd, offset, length, check) == (length, expected):
            good = offset + length
            break
    if size != good:
        check()
        os.ftruncate(fd, good)
        os.fsync(fd)
    return good


def _parts(manifest: Manifest) -> list[tuple[int, int]]:
    return list(spans(manifest.size, manifest.part_size))


def _what_is_there(root: int, clip: StoredClip, check: Check) -> _There:
    """Raises Rejected `target-conflict` when something else lies under the clip's key."""
    *folders, name = keys.components(clip.key)
    try:
        with share.folder(root, [_CLIPS, *folders]) as place:
            with share.opened(place, name, os.O_RDONLY) as fd:
                share.drop_cache(fd)
                size = os.fstat(fd).st_size
                sha256 = share.digest(fd, 0, None, check)[1] if size == clip.manifest.size else b""
            if sha256.hex() == clip.manifest.sha256:
                return _There.OURS
            if document.describes(_beside(place, name), clip.manifest):
                return _There.DAMAGED
    except FileNotFoundError:
        return _There.NOTHING
    raise Rejected("target-conflict", key=clip.key)


def _sync_whole(incoming: int, part: str, manifest: Manifest) -> None:
    """The transfer is complete and on the share's disk. Raises Transient `token-lost` when it is not."""
    flags = os.O_RDWR | (0 if manifest.size else os.O_CREAT)  # nothing was ever sent of an empty clip
    try:
        with share.opened(incoming, part, flags) as fd:
            if os.fstat(fd).st_size != manifest.size:
                raise Transient("token-lost")
            os.fsync(fd)
    except FileNotFoundError as error:
        raise Transient("token-lost") from error


def _lay_manifest(incoming: int, token: str, place: int, name: str, clip: StoredClip) -> None:
    wanted, there = document.write(clip), _beside(place, name)
    if there == wanted:
        return
    if there is not None and not document.is_one(there):
        raise Rejected("target-conflict", key=clip.key + keys.MANIFEST)
    share.lay(incoming, token + keys.MANIFEST, place, name + keys.MANIFEST, wanted, replace=True)


def _beside(place: int, name: str) -> bytes | None:
    """What lies where the clip's manifest belongs; None when nothing does."""
    try:
        return _content(place, name + keys.MANIFEST, _MANIFEST_MAX)
    except FileNotFoundError:
        return None


def _content(place: int, name: str, largest: int) -> bytes:
    """As it lies on the share; no more than about `largest` bytes of it."""
    with share.opened(place, name, os.O_RDONLY) as fd:
        share.drop_cache(fd)
        data = bytearray()
        while len(data) < largest and (more := os.pread(fd, share.CHUNK, len(data))):
            data += more
        return bytes(data)


def _size(place: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=place, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
