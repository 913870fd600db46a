"""Heads of a log that another station countersigned, in an evidence package of that log: an anchor for
whoever trusts that other station. One file for each:

    recorder-station cosigned 1
    <vkey>          of who countersigned
    <hash>          of the proof of consistency (RFC 6962) between this head and that of the package: that the
    …               longer log goes on from the shorter one; none where both are of one size
                    (empty)
    <the countersigned head, a signed note>

Whose key that is no package can say: it came with it. So a countersignature is told, and is an anchor only
under a key that was given from elsewhere.
"""

import base64
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.custody.verdict import Said, when
from agent.custody.verifier import COSIGNATURE, Head, Invalid, Key, KeyChange, Note, check_consistency

COSIGNED = "data/log/cosigned/"
CHANGES = "data/changes/"  # of the station's key: a KeyChange for each, which both keys signed
_MOST_HASHES = 64


@dataclass(frozen=True)
class Countersigned:
    by: Key
    hashes: tuple[bytes, ...]
    note: Note

    HEADER = "recorder-station cosigned 1"

    @property
    def path(self) -> str:
        return f"{COSIGNED}{Head.parse(self.note.text).size:012}-{self.by.id.hex()}"

    @property
    def data(self) -> bytes:
        hashes = (base64.b64encode(one).decode() for one in self.hashes)
        lines = [self.HEADER, self.by.vkey, *hashes, ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.data

    @classmethod
    def parse(cls, data: bytes) -> "Countersigned":
        """Raises Invalid; nothing of it is believed yet."""
        top, _, note = data.partition(b"\n\n")
        try:
            header, vkey, *lines = top.decode().split("\n")
            hashes = tuple(base64.b64decode(line, validate=True) for line in lines)
        except ValueError:
            raise Invalid("this is no countersigned head") from None
        if header != cls.HEADER or len(hashes) > _MOST_HASHES or any(len(one) != 32 for one in hashes):
            raise Invalid("this is no countersigned head")
        found = cls(Key.parse(vkey), hashes, Note.parse(note))
        if found.data != data:
            raise Invalid("this is no countersigned head as a station writes it")
        return found

    def check(self, log: Key, head: Head) -> tuple[Head, int]:
        """The countersigned head, and when it was countersigned, in seconds since the epoch. `log`: the
        package's key; `head`: its head. Raises Invalid."""
        if self.by.kind != COSIGNATURE:
            raise Invalid(f"the key of {self.by.name} is none that countersigns")
        if self.by.name == log.name or self.by.public == log.public:
            raise Invalid("the station itself cannot be its witness")
        other = Head.checked(self.note, [log], head.origin)
        self.note.check([self.by])
        short, long = sorted((other, head), key=lambda one: one.size)
        check_consistency(short.size, short.root, long.size, long.root, self.hashes)
        return other, self.note.cosigned_at(self.by)


def countersigning(vkey: str) -> Key:
    """A station's key as that with which it countersigns; its printed key will do. Raises Invalid."""
    key = Key.parse(vkey.strip())
    return Key(key.name, key.public, COSIGNATURE)


def check_countersigned(
    paths: Iterable[str],
    read: Callable[[str], bytes],
    log: Key,
    head: Head,
    events: Collection[int],
    given: Sequence[Key],
) -> Iterator[Said]:
    """What is to be said of each countersigned head. `events`: numbers of those that the package is about;
    `given`: the keys (of `countersigning`) that are trusted, any of them: one is enough."""
    anchored = False
    for path in paths:
        try:
            found = Countersigned.parse(read(path))
            if found.path != path:
                raise Invalid("this is not the head of which its name speaks")
            other, at = found.check(log, head)
        except Invalid as error:
            yield Said(False, f"会签不成立：{path}", f"{path}: {error}")
            continue
        trusted = found.by in given
        anchored = anchored or trusted
        yield _countersigned(found.by, other, at, events, trusted)
    if given and not anchored:
        names = ", ".join(key.vkey for key in given)
        yield Said(
            False, f"没有由所给公钥会签的树头：{names}", f"no head is countersigned with a key given: {names}"
        )


def _countersigned(by: Key, head: Head, at: int, events: Collection[int], trusted: bool) -> Said:
    among = sum(seq <= head.size for seq in events)
    zh = (
        f"{by.name} 于 {when(at)}（其时钟）以密钥 {by.id.hex()} 会签了 {head.size} 条的日志头，"
        f"本包 {len(events)} 个事件中有 {among} 个在其内。"
    )
    en = (
        f"countersigned by {by.name} at {when(at)} (by its clock), with the key {by.id.hex()}: the head with"
        f" {head.size} entries, {among} of the {len(events)} events of this package among them."
    )
    if trusted:
        zh += "信任该公钥者即知：当时日志已由本包公钥签名，这些事件已在其中，此后未被改动"
        en += (
            " Whoever trusts that key knows that the log stood under the package's key by then, with these"
            " events, and that they were not altered since"
        )
    else:
        zh += f"该公钥随包而来，不能作为来源依据（--witness）：{by.vkey}"
        en += f" That key came with the package, so it is no anchor (--witness): {by.vkey}"
    return Said(True, zh, en)


def keys_before(
    paths: Iterable[str], read: Callable[[str], bytes], key: Key
) -> tuple[Collection[str], Sequence[Said]]:
    """The station's earlier keys (vkeys), each of which leads to `key` by changes that both keys signed; and
    what is to be said of changes that do not."""
    changes, wrong = dict[int, tuple[str, KeyChange]](), list[Said]()
    for path in paths:
        try:
            change = KeyChange.parse(read(path))
            number = change.head.origin.rpartition("/")[2]
            if path != f"{CHANGES}{number}.proof":
                raise Invalid("this is not the change of which its name speaks")
            changes[int(number)] = path, change
        except ValueError as error:  # Invalid is one
            wrong.append(Said(False, f"密钥更换不成立：{path}", f"{path}: {error}"))
    before = list[str]()
    for _, (path, change) in sorted(changes.items(), reverse=True):
        if change.new != key:
            zh, en = "不通向本包的公钥", "this change does not lead to the package's key"
            wrong.append(Said(False, f"密钥更换{zh}：{path}", f"{path}: {en}"))
            break
        key = change.old
        before.append(key.vkey)
    return before, wrong
