"""The store of clip files on the station's disk.

    clips/<recorder>/<day>/<name>.<digest>.<ext>   a clip, verified        …<ext>.json   its sidecar
    incoming/<clip>.part  .parts                   a copy on its way and the digests of its whole parts
    quarantine/<clip>.<n>                          bytes that did not verify, for those who look into it

A clip appears under `clips/` only by a rename that replaces nothing, after its bytes were read back
from the disk and found equal.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from agent import durable
from agent.errors import StoreFull
from agent.model import Identity, Manifest, SourceClip, StoredClip, folder_of, plain, raw

RESERVE_SHARE = 0.02
#: What is said where a file is gone or is something else, and of bytes that a disk or a file system has lost.
#: Other errors say nothing of what is there.
GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
OTHER = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR})
LOST = frozenset({errno.EIO, errno.ENODATA, errno.EILSEQ, errno.EUCLEAN, errno.EBADMSG, errno.EREMOTEIO})
ROTTEN = GONE | OTHER | LOST
_FEW = 4  # files up to which an fsync each is cheaper than syncing the whole file system


class Store:
    def __init__(self, root: Path, reserve: Callable[[], int]) -> None:
        """`reserve` in bytes, asked anew each time: the larger of it and 2 % of the disk stays free."""
        self.root = root
        self._reserve = reserve
        self.incoming = root / "incoming"
        self._incoming = str(self.incoming)
        self.clips = root / "clips"
        self._clips = str(self.clips)
        self.quarantined = root / "quarantine"
        for folder in (self.incoming, self.clips, self.quarantined):
            folder.mkdir(parents=True, exist_ok=True)

    # names

    def partial(self, clip: int) -> Path:
        return Path(self.partial_name(clip))

    def partial_name(self, clip: int) -> str:
        return f"{self._incoming}/{clip}.part"

    def journal(self, clip: int) -> Path:
        return self.incoming / f"{clip}.parts"

    def path(self, key: str) -> Path:
        return self.clips / key

    def sidecar(self, key: str) -> Path:
        return self.clips / (key + ".json")

    # room

    def disk(self) -> tuple[int, int, int]:
        """(free, total, reserve) in bytes."""
        return disk(self.root, self._reserve())

    def need(self, size: int) -> None:
        """Raises StoreFull when there is no room for `size` bytes that were promised it (see `Room`). Half of
        the reserve may be used: the catalog has grown since the promise was made."""
        free, _, reserve = self.disk()
        if free - size < reserve // 2:
            raise StoreFull(free=free, needed=size, reserve=reserve)

    # durability

    def flush(self, files: Sequence[durable.Name]) -> None:
        """Bring these files to the disk."""
        try:
            if len(files) > _FEW:
                durable.sync_file_system(self.root)
                return
            for path in files:
                with durable.open_fd(path, os.O_RDONLY) as fd:
                    os.fsync(fd)
            for folder in {os.path.dirname(path) for path in files}:  # noqa: PTH120 - of a Name
                durable.sync_folder(Path(folder))
        except OSError as error:
            raise as_store_full(error) from error

    def seal(self, clips: list[StoredClip]) -> None:
        """Give each verified copy its sidecar and its name, and bring the names to the disk.

        Safe to repeat after a crash at any line: what is sealed already is left alone."""
        folders: set[Path] = set()
        made: set[str] = set()
        sidecars: list[durable.Name] = []
        for clip in clips:
            final = f"{self._clips}/{clip.key}"
            folder, _, _ = final.rpartition("/")
            if folder not in made:
                # Also those that exist: a crash may have come between their making and their sync.
                folders.update(durable.make_folders(Path(folder), self.clips))
                made.add(folder)
            sidecars.append(self._write_sidecar(clip))
            self._rename(clip, final)
        if len(clips) > _FEW:
            durable.sync_file_system(self.root)
        else:
            self.flush(sidecars)
            for path in folders:
                durable.sync_folder(path)

    def rewrite_sidecar(self, clip: StoredClip) -> None:
        """A clip got another name on the recorder. A released clip has no sidecar to keep."""
        if self.path(clip.key).exists():
            durable.write_file(self.sidecar(clip.key), _document(clip))

    def described(self, clip: StoredClip) -> bool:
        """Whether the sidecar on the disk is what this clip is. Raises OSError when it cannot be read."""
        try:
            with durable.open_fd(self.sidecar(clip.key), os.O_RDONLY | os.O_NONBLOCK) as fd:
                durable.drop_cache(fd)
                expected = _document(clip)
                return os.pread(fd, len(expected) + 1, 0) == expected
        except FileNotFoundError:
            return False

    def mend(self, twin: StoredClip, clip: int) -> None:
        """`twin` has the content of `clip`, a copy just verified: if its own file is gone or is not that
        any more, the copy takes its place."""
        final = self.path(twin.key)
        if _holds(final, twin.manifest.sha256):
            return
        if os.path.lexists(final):
            self.set_aside(twin.id, final)
        folders = durable.make_folders(final.parent, self.clips)
        durable.rename_noreplace(self.partial(clip), final)
        self._write_sidecar(twin)
        self.flush([self.sidecar(twin.key)])
        for folder in folders:
            durable.sync_folder(folder)

    def discard(self, clip: int) -> None:
        """Forget a copy on its way: it starts over, or it is not needed."""
        self.partial(clip).unlink(missing_ok=True)
        self.journal(clip).unlink(missing_ok=True)

    def set_aside(self, clip: int, path: Path) -> None:
        """Keep bytes that did not verify, under a name of their own."""
        tries = 0
        while True:
            try:
                durable.rename_noreplace(path, self.quarantined / f"{clip}.{tries}")
                return
            except FileExistsError:
                tries += 1

    def on_their_way(self) -> list[int]:
        """The clips whose copies are here."""
        return sorted({int(stem) for path in self.incoming.iterdir() if (stem := path.stem).isdecimal()})

    def sweep(self, keep: Iterable[int]) -> int:
        """Remove copies on their way that no clip waits for; return how many files went."""
        kept = {str(clip) for clip in keep}
        files = [path for path in self.incoming.iterdir() if path.is_file()]
        stray = [path for path in files if path.name.partition(".")[0] not in kept]
        for path in stray:
            path.unlink()
        return len(stray)

    def _write_sidecar(self, clip: StoredClip) -> str:
        name = f"{self._clips}/{clip.key}.json"
        with durable.open_fd(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
            data = _document(clip)
            while data:
                data = data[os.write(fd, data) :]
        return name

    def _rename(self, clip: StoredClip, final: str) -> None:
        partial = self.partial_name(clip.id)
        try:
            durable.rename_noreplace(partial, final)
        except FileNotFoundError:
            if not _holds(Path(final), clip.manifest.sha256):
                raise
        except FileExistsError:
            # Left by an agent whose catalog was lost, or rotten: believed only after reading it again.
            if _holds(Path(final), clip.manifest.sha256):
                self.partial(clip.id).unlink(missing_ok=True)
            else:
                self.set_aside(clip.id, Path(final))
                durable.rename_noreplace(partial, final)
        with suppress(FileNotFoundError):
            os.unlink(f"{self._incoming}/{clip.id}.parts")  # noqa: PTH108 - of a Name


def disk(path: Path, reserve: int) -> tuple[int, int, int]:
    """(free, total, reserve) in bytes; `reserve`: the configured one. Raises OSError."""
    figures = os.statvfs(path)
    total = figures.f_frsize * figures.f_blocks
    return figures.f_frsize * figures.f_bavail, total, max(reserve, int(total * RESERVE_SHARE))


def key_for(identity: Identity, source: SourceClip, manifest: Manifest) -> str:
    """The clip's name in the store and at the centre: the same content of the same recorder gives the
    same key on every station. Empty and damaged files take their place on the recorder into it,
    since their content does not tell them apart."""
    digest = manifest.sha256
    if not manifest.size or manifest.unreadable:
        place = f"{digest} {identity.fs_id} {source.mtime_ns} {source.size} ".encode() + raw(source.path)
        digest = hashlib.sha256(place).hexdigest()
    name = source.path.rpartition("/")[2]
    dot = name.rfind(".")
    stem, suffix = (name[:dot], name[dot + 1 :]) if 0 < dot < len(name) - 1 else (name, "")
    stem, suffix = plain(stem), plain(suffix, 16) if suffix else ""
    day = source.recorded_at.strftime("%Y-%m-%d") if source.recorded_at else "undated"
    return f"{folder_of(identity.recorder)}/{day}/{stem}.{digest[:16]}" + (f".{suffix}" if suffix else "")


def as_store_full(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(free=0, needed=0, reserve=0)
    return error


def _document(clip: StoredClip) -> bytes:
    return (json.dumps(clip.document, ensure_ascii=False) + "\n").encode("utf-8")


def _holds(path: Path, sha256: str) -> bool:
    """Whether the disk, not the cache, has this content under `path`."""
    try:
        with open(path, "rb", opener=durable.opener) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            os.fsync(file.fileno())
            durable.drop_cache(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError as error:
        if error.errno in ROTTEN:
            return False
        raise
