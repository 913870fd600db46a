"""Checks what a station's log proves: hashes, signatures, heads, countersignatures, proofs.

One file that needs nothing but Python's standard library, so that a court, a reviewer or the defence can
run it, and read it, without trusting the station or whoever made it. The station checks with it, too.

Formats: RFC 6962 (hashes and proofs), RFC 8032 (Ed25519), and of C2SP signed-note, tlog-checkpoint,
tlog-cosignature (Ed25519) and tlog-proof. Every check raises Invalid; none answers with a word that
somebody could forget to look at.
"""

import base64
import binascii
import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

EMPTY_ROOT = hashlib.sha256().digest()
MOST_SIGNATURES = 64  # of a note
LARGEST_NOTE = 1 << 20  # bytes
ED25519, COSIGNATURE = 1, 4  # what a key signs with: the types of signed-note


class Invalid(ValueError):
    """What was to be proven is not. The message says why."""


# The tree (RFC 6962)


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """That the entry with the hash `leaf` is entry `index`, from 0, of the tree of `size` with `root`."""
    if not 0 <= index < size:
        raise Invalid(f"there is no entry {index} in a log of {size}")
    made, at, last, rest = leaf, index, size - 1, list(proof)
    while last:
        if at % 2 or at < last:
            if not rest:
                raise Invalid("the proof of inclusion is too short")
            sibling = rest.pop(0)
            made = node_hash(sibling, made) if at % 2 else node_hash(made, sibling)
        at, last = at // 2, last // 2
    if rest:
        raise Invalid("the proof of inclusion is too long")
    if made != root:
        raise Invalid(f"entry {index} is not in this log: the proof leads to another root")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That the tree of `new` begins with that of `old`: nothing before was altered or removed."""
    if not 0 <= old <= new:
        raise Invalid(f"a log of {new} entries cannot go on from one of {old}")
    if old in (0, new):
        _same(old_root, EMPTY_ROOT if old == 0 else new_root, "two roots of one size differ")
        if proof:
            raise Invalid("the proof of consistency is too long")
        return
    at, last, rest = old - 1, new - 1, list(proof)
    while at % 2:  # up to the node that both trees have whole
        at, last = at // 2, last // 2
    before = after = _next(rest) if at else old_root
    while last:
        if at % 2:
            sibling = _next(rest)
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        elif at < last:
            after = node_hash(after, _next(rest))
        at, last = at // 2, last // 2
    if rest:
        raise Invalid("the proof of consistency is too long")
    _same(before, old_root, "the proof of consistency does not lead to the old root: the past was altered")
    _same(after, new_root, "the proof of consistency does not lead to the new root")


def _next(rest: list[bytes]) -> bytes:
    if not rest:
        raise Invalid("the proof of consistency is too short")
    return rest.pop(0)


def _same(one: bytes, other: bytes, otherwise: str) -> None:
    if one != other:
        raise Invalid(otherwise)


# Ed25519 (RFC 8032), points in extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_WINDOW = 4  # bits of a factor that one addition takes in
_Point = tuple[int, int, int, int]
_ZERO: _Point = (0, 1, 1, 0)


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Strict: the one encoding of each number is accepted, no other."""
    if len(public) != 32 or len(signature) != 64:
        return False
    factor = int.from_bytes(signature[32:], "little")
    table = _table_of(public)
    if table is None or factor >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    return _encoded(_add(_times(factor, _base_table()), _times(challenge, table))) == signature[:32]


def _add(one: _Point, other: _Point) -> _Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decoded(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x % 2 != sign else x
    return x, y, 1, x * y % _P


def _encoded(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _table(point: _Point) -> list[list[_Point]]:
    """Every multiple that a window can ask for: a log's heads are all signed with one key."""
    table = []
    for _ in range(0, 256, _WINDOW):
        row = [_ZERO]
        for _ in range(1 << _WINDOW):
            row.append(_add(row[-1], point))
        point = row.pop()
        table.append(row)
    return table


@functools.cache
def _base_table() -> list[list[_Point]]:
    base = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert base is not None
    return _table(base)


@functools.lru_cache(maxsize=8)
def _table_of(public: bytes) -> list[list[_Point]] | None:
    """None when these bytes are no point, or one of the few that sign anything: its multiple is zero."""
    point = _decoded(public)
    if point is None:
        return None
    eight = functools.reduce(lambda doubled, _: _add(doubled, doubled), range(3), point)
    return _negated(point) if _encoded(eight) != _encoded(_ZERO) else None


def _negated(point: _Point) -> list[list[_Point]]:
    x, y, z, t = point
    return _table((-x % _P, y, z, -t % _P))


def _times(factor: int, table: list[list[_Point]]) -> _Point:
    made = _ZERO
    for row in table:
        made = _add(made, row[factor & (1 << _WINDOW) - 1])
        factor >>= _WINDOW
    return made


# Signed notes (C2SP signed-note)

_SIGNATURE = re.compile("— ([^ ]+) ([^ ]+)\n")


@dataclass(frozen=True)
class Key:
    """A name, what it signs with, and the public key. Two keys are one only if all of it is the same."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """As keys are published and printed: name, id and key in one line."""
        return f"{self.name}+{self.id.hex()}+{_b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> "Key":
        name, plus, rest = vkey.partition("+")
        told, more, data = rest.partition("+")
        if not plus or not more or not _is_name(name):
            raise Invalid("this is no key")
        raw = _unb64(data)
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise Invalid("this is no Ed25519 key")
        key = cls(name, raw[1:], raw[0])
        if key.id.hex() != told:
            raise Invalid("the key's id is not that of its name and number: it was altered")
        return key


@dataclass(frozen=True)
class Signature:
    name: str
    id: bytes  # 4 bytes
    data: bytes

    @property
    def line(self) -> str:
        return f"— {self.name} {_b64(self.id + self.data)}\n"


@dataclass(frozen=True)
class Note:
    text: str  # with its last newline
    signatures: tuple[Signature, ...]

    @functools.cached_property
    def data(self) -> bytes:
        return (self.text + "\n" + "".join(each.line for each in self.signatures)).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Note":
        if len(data) > LARGEST_NOTE:
            raise Invalid("the note is too long")
        return _note(data)

    def check(self, keys: Iterable[Key]) -> list[Key]:
        """The keys that signed it, at least one of `keys`. A signature by one of them that is not true
        spoils the note; those of strangers count for nothing."""
        known = {(key.name, key.id): key for key in keys}
        found = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.id))
            if key is not None and key not in found:
                self._check(key, signature.data)
                found.append(key)
        if not found:
            raise Invalid("none of the known keys has signed this")
        return found

    def _check(self, key: Key, signature: bytes) -> None:
        message = self.text.encode()
        if key.kind == COSIGNATURE:
            message = cosigned(self.text, int.from_bytes(signature[:8], "big"))
            signature = signature[8:]
        if not ed25519_verify(key.public, message, signature):
            raise Invalid(f"the signature of {key.name} is not true: text or signature was altered")

    def cosigned_at(self, key: Key) -> int:
        """When `key` has countersigned, in seconds since the epoch, as it says. Checks nothing."""
        for signature in self.signatures:
            if (signature.name, signature.id) == (key.name, key.id) and key.kind == COSIGNATURE:
                return int.from_bytes(signature.data[:8], "big")
        raise Invalid(f"{key.name} has not countersigned this")


@functools.lru_cache(maxsize=2)  # the proofs of one receipt or package are all under one head
def _note(data: bytes) -> Note:
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise Invalid("the note is not text") from None
    if re.search("[\0-\x09\x0b-\x1f]", whole):
        raise Invalid("the note has control characters")
    text, blank, signed = whole.rpartition("\n\n")
    if not blank:
        raise Invalid("the note has no signature")
    return Note(text + "\n", tuple(_signatures(signed)))


def cosigned(text: str, at: int) -> bytes:
    """What a countersignature of the head `text` at the time `at` signs (cosignature/v1)."""
    if at >= 1 << 63:
        raise Invalid("the time of the countersignature is none")
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _signatures(text: str) -> Iterable[Signature]:
    lines = text.split("\n")
    if not text or lines.pop():
        raise Invalid("the note's signatures are cut off")
    if len(lines) > MOST_SIGNATURES:
        raise Invalid("the note has too many signatures")
    for line in lines:
        found = _SIGNATURE.fullmatch(line + "\n")
        if found is None or not _is_name(found[1]):
            raise Invalid("a line of the note's signatures is none")
        raw = _unb64(found[2])
        if len(raw) < 5:
            raise Invalid("a signature of the note is too short")
        yield Signature(found[1], raw[:4], raw[4:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(_is_odd(character) for character in name)


def _is_odd(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cc", "Zs", "Zl", "Zp")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    """The one way to write it: else two notes would be one."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if _b64(data) != text:
        raise Invalid("this is not base64")
    return data


# Heads of a log (C2SP tlog-checkpoint) and proofs from it (C2SP tlog-proof)

_NUMBER = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True)
class Head:
    """How long a log was, and what stood in it. Worth something only within a note that was checked."""

    origin: str
    size: int  # entries
    root: bytes
    more: tuple[str, ...] = ()  # extension lines

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, _b64(self.root), *self.more))

    @classmethod
    def parse(cls, text: str) -> "Head":
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise Invalid("this is no head of a log")
        root = _unb64(lines[2])
        if len(root) != 32:
            raise Invalid("the root of the head is no SHA-256")
        return cls(lines[0], _number(lines[1]), root, tuple(lines[3:]))

    @classmethod
    def checked(cls, note: Note, keys: Iterable[Key], origin: str) -> "Head":
        """Of the log `origin`, signed by one of `keys`, which are that log's own."""
        note.check(keys)
        head = cls.parse(note.text)
        if head.origin != origin:
            raise Invalid(f"this is a head of {head.origin}, not of {origin}")
        return head


@dataclass(frozen=True)
class Proof:
    """That an entry is in a log, without the log."""

    index: int
    hashes: tuple[bytes, ...]
    note: Note  # the signed head
    extra: bytes = b""  # not signed by anybody

    HEADER = "c2sp.org/tlog-proof@v1"

    @property
    def data(self) -> bytes:
        lines = [self.HEADER, *([f"extra {_b64(self.extra)}"] if self.extra else []), f"index {self.index}"]
        lines += map(_b64, self.hashes)
        return "".join(f"{line}\n" for line in [*lines, ""]).encode() + self.note.data

    @classmethod
    def parse(cls, data: bytes) -> "Proof":
        before, blank, note = data.partition(b"\n\n")
        try:
            lines = before.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Invalid("this is no proof from a log") from None
        if not blank or lines.pop(0) != cls.HEADER:
            raise Invalid("this is no proof from a log")
        extra = _unb64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else b""
        if not lines or not lines[0].startswith("index "):
            raise Invalid("the proof does not say which entry it is about")
        index = _number(lines.pop(0)[6:])
        hashes = tuple(_unb64(line) for line in lines)
        if len(hashes) > 64 or any(len(each) != 32 for each in hashes):
            raise Invalid("the hashes of the proof are none")
        return cls(index, hashes, Note.parse(note), extra)

    def check(self, entry: bytes, keys: Iterable[Key], origin: str) -> Head:
        """That `entry` is in the log `origin`; the head under which it is. The keys are the log's own."""
        head = Head.checked(self.note, keys, origin)
        check_inclusion(leaf_hash(entry), self.index, head.size, self.hashes, head.root)
        return head


@dataclass(frozen=True)
class KeyChange:
    """The last entry of a log, `key-changed`, under a head that both keys have signed: it leads from the one
    to the other. `parse` checks all of it."""

    proof: Proof
    old: Key
    new: Key
    head: Head

    @classmethod
    def parse(cls, data: bytes) -> "KeyChange":
        proof = Proof.parse(data)
        facts = _facts(proof.extra)
        body = facts["body"]
        if facts["kind"] != "key-changed" or not isinstance(body, dict) or proof.data != data:
            raise Invalid("this is no change of a key")
        old, new = Key.parse(str(body.get("old"))), Key.parse(str(body.get("new")))
        origin = Head.parse(proof.note.text).origin
        if old == new or not {old.name, new.name} == {origin.rpartition("/")[0]}:
            raise Invalid("these are not two keys of the station whose log this is")
        for key in (old, new):
            head = proof.check(proof.extra, [key], origin)
        if proof.index != head.size - 1:
            raise Invalid("the change of the key is not the last entry of its log")
        return cls(proof, old, new, head)


# Receipts: an entry in words, and the proof of it

_SHORT = re.compile("RS1 ([^ ]+) ([0-9]+) ([0-9]+) ([A-Za-z0-9+/]{43}) ([A-Za-z0-9+/]{86})", re.ASCII)
#: How the members of an entry's body are called on a receipt, in their order there.
_LINES = {
    "slot": "采集口 slot",
    "recorder": "记录仪 recorder",
    "officer": "警员 officer",
    "docking": "插入序号 docking",
    "outcome": "结果 outcome",
    "key": "文件 file",
    "clips": "文件数 clips",
    "size": "字节 bytes",
    "bytes": "字节 bytes",
    "recorded_from": "录制起（记录仪时钟） recorded from (recorder's clock)",
    "recorded_to": "录制止（记录仪时钟） recorded to (recorder's clock)",
    "sha256": "SHA-256",
    "digest": "各文件 SHA-256 之摘要 SHA-256 over the clips' digests",
}


@dataclass(frozen=True)
class Receipt:
    """`proof` has the entry as its extra data."""

    proof: Proof

    @property
    def words(self) -> str:
        """What the entry says; nothing that it does not say."""
        facts = _facts(self.proof.extra)
        body = facts["body"] if isinstance(facts["body"], dict) else {}
        trusted = "是 yes" if facts["clock"] is True else "否 no"
        lines = [
            f"执法记录回执 recorder station receipt: {_shown(facts['kind'])}",
            f"采集站 station: {Head.parse(self.proof.note.text).origin}",
            *(
                f"{label}: {_shown(body[name])}"
                for name, label in _LINES.items()
                if body.get(name) is not None
            ),
            *([f"文件编号 clip: {_shown(facts['clip'])}"] if facts["clip"] is not None else []),
            f"时间 time: {_shown(facts['at'])}",
            f"采集站时钟可信 station's clock trusted: {trusted}",
        ]
        return "".join(f"{line}\n" for line in lines)

    @property
    def data(self) -> bytes:
        return f"{self.words}\n".encode() + self.proof.data

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """The words must be those of the entry: they are what people read."""
        before, header, rest = data.partition(b"\n\n" + Proof.HEADER.encode() + b"\n")
        if not header:
            raise Invalid("this is no receipt")
        receipt = cls(Proof.parse(header[2:] + rest))
        if receipt.words.encode() != before + b"\n":
            raise Invalid("the words of the receipt are not those of its entry: they were altered")
        return receipt

    def check(self, keys: Iterable[Key], origin: str) -> Head:
        """The head under which the entry is. The keys are the log's own."""
        return self.proof.check(self.proof.extra, keys, origin)


@dataclass(frozen=True)
class Short:
    """The head under which an entry lies, and the entry's number, in at most 200 characters of ASCII. It
    proves that this head was signed; that the entry is in it is for the receipt to prove."""

    origin: str
    index: int
    size: int
    root: bytes
    signature: bytes

    @property
    def text(self) -> str:
        root, signature = _b64(self.root).rstrip("="), _b64(self.signature).rstrip("=")
        return f"RS1 {self.origin} {self.index} {self.size} {root} {signature}"

    @classmethod
    def parse(cls, text: str) -> "Short":
        found = _SHORT.fullmatch(text)
        if found is None:
            raise Invalid("this is no short receipt")
        origin, index, size, root, signature = found.groups()
        return cls(origin, _number(index), _number(size), _unb64(root + "="), _unb64(signature + "=="))

    def check(self, key: Key) -> Head:
        """The head. `key` is the log's own."""
        head = Head(self.origin, self.size, self.root)
        if not 0 <= self.index < self.size:
            raise Invalid(f"there is no entry {self.index} in a log of {self.size}")
        Note(head.text, (Signature(key.name, key.id, self.signature),)).check([key])
        return head


def _facts(entry: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(entry)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or not facts.keys() >= {"at", "body", "clip", "clock", "kind"}:
        raise Invalid("this is no entry of a station's log")
    return facts


def _shown(value: object) -> str:
    """On one line, and nothing that writes over others: a recorder may call its files as it likes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Invalid("this is no number")
    return int(text)
