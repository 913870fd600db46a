"""Opening a recorder's files so that nothing on it can lead us elsewhere.

A file is first taken hold of without opening it (O_PATH): opening a FIFO blocks, opening a device acts.
"""

import errno
import os
import stat

from agent.errors import DeviceGone, Reject, Unsupported
from agent.model import Port
from drivers.files import ROOT, FileReader, descend, failure, mount_id

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Tree:
    """The files below a recorder's root. For one thread.

    The folder of the last file stays open, since the next one mostly lies beside it. It was reached without
    following a link, and is on the recorder wherever it is moved to meanwhile."""

    def __init__(self, port: Port) -> None:
        """Raises DeviceGone, Unsupported (`unreadable-folder`)."""
        self._port = port
        self.root = _open_root(port)
        self._mount = mount_id(self.root)
        self._folder = ""
        self._parent = -1  # descriptor of `_folder`
        self._device = 0  # st_dev of it

    def open(self, path: str) -> FileReader:
        """The regular file `path`, for reading.

        Raises Reject (`vanished`, `not-a-file`, `other-filesystem`), SourceUnreadable, DeviceGone."""
        folder, _, name = path.rpartition("/")
        if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise Reject("not-a-file", path=path)
        try:
            self._enter(folder, path)
            handle = os.open(name, _HANDLE, dir_fd=self._parent)
            try:
                self._check(handle, path)
                return FileReader(os.open(f"/proc/self/fd/{handle}", _READ), path, self._port)
            finally:
                os.close(handle)
        except OSError as e:
            raise _unopened(e, self._port, path) from e

    def head(self, path: str, length: int) -> bytes:
        """Up to `length` bytes from the beginning of a file. Raises like `open`."""
        reader = self.open(path)
        buffer = bytearray(length)
        try:
            return bytes(buffer[: reader.read_at(memoryview(buffer), 0)])
        finally:
            reader.close()

    def close(self) -> None:
        self._leave()
        if self.root >= 0:
            os.close(self.root)
            self.root = -1

    def _enter(self, folder: str, path: str) -> None:
        if self._parent >= 0 and folder == self._folder:
            return
        self._leave()
        fd = descend(self.root, folder)
        self._parent, self._folder = fd, folder
        if mount_id(fd) != self._mount:
            self._leave()
            raise Reject("other-filesystem", path=path)
        self._device = os.fstat(fd).st_dev

    def _leave(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

    def _check(self, handle: int, path: str) -> None:
        """A recorder can mount nothing. That the station has mounted something on a single file is asked
        only where it shows: the kernel's answer costs as much as all the rest."""
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Reject("not-a-file", path=path)
        if status.st_dev != self._device and mount_id(handle) != self._mount:
            raise Reject("other-filesystem", path=path)


def _open_root(port: Port) -> int:
    try:
        return os.open(port.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        what = failure(e, port, ROOT)
        raise Unsupported("unreadable-folder", path=ROOT) if isinstance(what, Reject) else what from e


def _unopened(error: OSError, port: Port, path: str) -> Exception:
    if error.errno in _VANISHED:
        # A folder that became a link or a file (ELOOP, ENOTDIR) is as gone as one that was removed.
        return Reject("vanished", path=path) if port.present() else DeviceGone()
    return failure(error, port, path)
