"""What a package lies in: a folder, or a zip file that is read where it lies.

Either may have been made by somebody to deceive or to harm: no link is followed, nothing is unpacked, and
what is read is never more than was told before. The way that a station writes a zip file is in
`agent.custody.evidence.packing`; one that another program made of the same files will do as well.
"""

import os
import re
import stat
import struct
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from agent.custody.verifier import Invalid

if TYPE_CHECKING:
    import zipfile

LARGEST = 64 << 20  # bytes of a file that is read as a whole; clips are read in blocks
_END, _END64, _AT64, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x03\x04"
_FULL = 0xFFFFFFFF  # in place of a size that stands elsewhere
_ENCRYPTED, _TOLD_BEHIND = 0x2041, 0x8  # flags of a member; of the second, sizes follow its bytes
_BEHIND = (12, 16, 20, 24)  # bytes of these
_STORED, _DEFLATED = 0, 8  # how a member is packed
_DENSEST = 1032  # deflate makes no more of one byte


class Broken(Invalid):
    """Of a zip file, in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


class Box(Protocol):
    #: What is wrong with names, in Chinese and English; what they name is not among the files.
    faults: list[tuple[str, str]]

    def files(self) -> Iterator[tuple[str, bool]]:
        """(path, whether it is a regular file) of everything but folders. Raises OSError."""
        ...

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        """A regular file, in blocks of at most `size` bytes. Raises Invalid, OSError."""
        ...

    def close(self) -> None: ...


def opened(path: str) -> Box:
    """Raises Broken, OSError."""
    return Folder(path) if os.path.isdir(path) else Zip(path)  # noqa: PTH112 - one file of os and sys alone


def walk(folder: str) -> Iterator[tuple[str, bool]]:
    """(path, whether it is a regular file) of everything but folders below `folder`. Follows no link."""

    def failed(error: OSError) -> None:
        raise error

    above = len(os.path.join(folder, ""))  # noqa: PTH118
    for base, folders, files in os.walk(folder, onerror=failed):
        for name in [*files, *(one for one in folders if os.path.islink(os.path.join(base, one)))]:  # noqa: PTH114, PTH118
            path = os.path.join(base, name)  # noqa: PTH118 - one file of os and sys alone
            yield path[above:], stat.S_ISREG(os.lstat(path).st_mode)


class Folder:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.faults: list[tuple[str, str]] = []

    def files(self) -> Iterator[tuple[str, bool]]:
        return walk(self._folder)

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        with open(f"{self._folder}/{path}", "rb") as file:  # noqa: PTH123
            while block := file.read(size):
                yield block

    def close(self) -> None: ...


class Zip:
    """Raises Broken where its parts do not lie one behind the other, with nothing else before, between or
    behind them: what two programs read differently proves nothing."""

    def __init__(self, path: str) -> None:
        import zipfile  # not above: whoever checks a folder need not wait for it

        self._file = open(path, "rb")  # noqa: PTH123, SIM115 - until `close`
        self.faults: list[tuple[str, str]] = []
        try:
            start, count = _directory(self._file)
            try:
                self._zip = zipfile.ZipFile(self._file)
            except _unreadable() as error:
                raise Broken("压缩包的目录无法读取", f"its directory cannot be read: {error}") from None
            members = self._zip.infolist()
            if len(members) != count:
                raise Broken("压缩包的目录与其条数不符", "its directory has another length than it says")
            self._starts = _side_by_side(self._file, members, start)
        except BaseException:
            self._file.close()
            raise
        self._members = self._named(members)

    def files(self) -> Iterator[tuple[str, bool]]:
        for path, member in self._members.items():
            kind = stat.S_IFMT(member.external_attr >> 16)
            yield path, kind in (0, stat.S_IFREG)

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        member = self._members[path]
        if member.compress_type == _STORED:
            # SHA-256 decides: the checksum of a zip file would cost a third of it once more.
            yield from self._as_it_lies(path, member, size)
            return
        done = 0
        try:
            with self._zip.open(member) as file:
                while block := file.read(size):
                    done += len(block)
                    yield block
        except _unreadable() as error:
            raise Invalid(f"{path} is damaged: {error}") from None
        if done != member.file_size:
            raise Invalid(f"{path} has {done} bytes, not {member.file_size} as the zip file says")

    def _as_it_lies(self, path: str, member: "zipfile.ZipInfo", size: int) -> Iterator[bytes]:
        at = self._starts[member.header_offset]
        end = at + member.file_size
        while at < end:
            self._file.seek(at)
            block = self._file.read(min(size, end - at))
            if not block:
                raise Invalid(f"{path} ends before its time")
            at += len(block)
            yield block

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def _named(self, members: Iterable["zipfile.ZipInfo"]) -> dict[str, "zipfile.ZipInfo"]:
        """By path, without those whose names are no good."""
        found, alike = dict[str, "zipfile.ZipInfo"](), dict[str, str]()
        for member in members:
            name = member.orig_filename
            if name.endswith("/") and not member.file_size and _is_plain(name[:-1]):
                continue  # a folder
            shape = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
            if not _is_plain(name) or name != member.filename:
                self.faults.append((f"路径越出本包：{name}", f"a path that leads out of the package: {name}"))
            elif name in found:
                self.faults.append((f"同名文件出现两次：{name}", f"two files of one name: {name}"))
            elif shape in alike:
                self.faults.append(
                    (
                        f"仅大小写或编码形式不同的文件名：{alike[shape]}、{name}",
                        f"names that differ by case or form only: {alike[shape]} and {name}",
                    )
                )
            elif not _can_be(member):
                self.faults.append((f"无法安全读取：{name}", f"packed as it cannot be read safely: {name}"))
            else:
                found[name] = member
                alike[shape] = name
        return found


def _unreadable() -> tuple[type[Exception], ...]:
    """What reading a zip file may raise that is none, or was altered."""
    import zipfile
    import zlib

    return (
        zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, ValueError, EOFError, IndexError,
        OverflowError, RuntimeError,
    )  # fmt: skip


def _is_plain(path: str) -> bool:
    parts = re.split(r"[/\\]", path)
    return "\0" not in path and not any(part in ("", ".", "..") for part in parts) and parts[0][1:2] != ":"


def _can_be(member: "zipfile.ZipInfo") -> bool:
    """Neither encrypted, nor packed in a way that few programs know, nor a bomb."""
    if member.flag_bits & _ENCRYPTED:
        return False
    if member.compress_type == _STORED:
        return member.file_size == member.compress_size
    return member.compress_type == _DEFLATED and member.file_size <= _DENSEST * (member.compress_size + 1)


def _directory(file: BinaryIO) -> tuple[int, int]:
    """Where the directory begins, and how many members it has. Raises Broken."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (22 + 20 + 56 + 0xFFFF)))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise Broken("压缩包被截断或不是压缩包：没有结尾", "it is cut off, or no zip file: it has no end")
    if at + 22 != len(tail):
        more = len(tail) - at - 22
        raise Broken(f"压缩包结尾之后还有 {more} 字节", f"{more} bytes lie behind its end")
    count, length, start = struct.unpack("<10xHII2x", tail[at:])
    end = size - 22
    if tail[at - 20 : at - 16] == _AT64 and at >= 76:
        record = tail[at - 76 : at - 20]
        if record[:4] != _END64:
            raise Broken("压缩包的结尾互不相符", "what it says of its end does not fit together")
        count, length, start = struct.unpack("<QQQ", record[32:])
        end -= 76
    if length > LARGEST or start + length != end:
        raise Broken(
            "压缩包被截断，或其目录与结尾之间夹有内容",
            "it is cut off in between, or something lies between its directory and its end",
        )
    return start, count


def _side_by_side(file: BinaryIO, members: Iterable["zipfile.ZipInfo"], start: int) -> dict[int, int]:
    """Where a member lies → where its bytes begin. Raises Broken."""
    end, before, starts = 0, "", dict[int, int]()
    told_behind = False
    for member in sorted(members, key=lambda one: one.header_offset):
        _follows(member.header_offset, end, told_behind, before)
        starts[member.header_offset] = _start_of(file, member)
        end, before = starts[member.header_offset] + member.compress_size, member.filename
        told_behind = bool(member.flag_bits & _TOLD_BEHIND)
    _follows(start, end, told_behind, before)
    return starts


def _follows(at: int, end: int, told_behind: bool, before: str) -> None:
    if at < end:
        raise Broken(f"压缩包内文件互相重叠：{before}", f"files lie over each other in it: {before}")
    if at > end and not (told_behind and at - end in _BEHIND):
        raise Broken(
            f"压缩包内夹有不属于任何文件的 {at - end} 字节",
            f"{at - end} bytes in it belong to no file, behind {before or 'nothing'}",
        )


def _start_of(file: BinaryIO, member: "zipfile.ZipInfo") -> int:
    """Of its packed bytes. What stands before these must say the same as the directory. Raises Broken."""
    file.seek(member.header_offset)
    head = file.read(30)
    try:
        mark, flags, method, crc, packed, size, name, more = struct.unpack("<4s2xHH4xIIIHH", head)
        said = file.read(name).decode("utf-8" if flags & 0x800 else "cp437")
        packed, size = _sizes(file.read(more), packed, size)
    except (struct.error, UnicodeDecodeError):
        mark = b""
    told = (member.CRC, member.compress_size, member.file_size)
    if mark != _LOCAL or (flags, method, said) != (
        member.flag_bits,
        member.compress_type,
        member.orig_filename,
    ):
        raise Broken(
            f"压缩包的目录与内容不符：{member.filename}",
            f"its directory and what lies there differ: {member.filename}",
        )
    if (crc, packed, size) != told and not flags & _TOLD_BEHIND:
        raise Broken(
            f"压缩包内大小前后不符：{member.filename}", f"two sizes are told of one file: {member.filename}"
        )
    return file.tell()


def _sizes(extra: bytes, packed: int, size: int) -> tuple[int, int]:
    """With those of more than 4 GiB, in a field of their own. Raises struct.error."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 1:
            values = iter(struct.unpack(f"<{length // 8}Q", extra[4 : 4 + length // 8 * 8]))
            size = next(values, size) if size == _FULL else size
            packed = next(values, packed) if packed == _FULL else packed
        extra = extra[4 + length :]
    return packed, size
