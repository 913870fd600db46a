"""Checks an evidence package: `python verify.py PACKAGE [--key VKEY] [--witness VKEY]…`.

A package is a BagIt folder (RFC 8493), or a zip file of one. Its manifests tell what was damaged on the way;
that it is what the station handed out, its log tells: the entry `exported` has the digest over all that is in
the package, each event of each clip is proven under one signed head, and so is that entry.

Everything in a package is material of somebody who may have altered it: nothing of it is run, no path of it
is followed out of it, and what is shown of it stays on one line.
"""

import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.custody.anchors import CHANGES, COSIGNED, check_countersigned, countersigning, keys_before
from agent.custody.box import LARGEST, Box, Broken, opened
from agent.custody.handed import Dockings, Entries, Facts, body_of, check_times
from agent.custody.national import SM3, check_sm3, sm3
from agent.custody.ordered import OF_AN_EXPORT, Ordered
from agent.custody.verdict import Said, parsed, plainly
from agent.custody.verifier import Head, Invalid, Key, Note, Proof, check_inclusion, leaf_hash

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
CLIPS, LOG, TEXTS = "data/clips/", "data/log/", "data/texts/"
EXPORT, TIMES = "data/export.json", "data/times.json"
KEY, HEAD = "data/log/key.pub", "data/log/head"
_BLOCK = 1 << 20
_DAMAGED = ("", 0)  # of what a zip file does not give back as it was packed: it is told as changed
_LINE = re.compile(r"([0-9a-f]{64})[ \t]+([^\r\n]+)")
_PROOF = re.compile(r"data/log/([1-9][0-9]{0,18})\.proof", re.ASCII)
#: state → those that may come next, as the station's own table has them. None: before it was seen.
MOVES: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"seen", "stored"}),
    "seen": frozenset({"copying", "missing"}),
    "copying": frozenset({"seen", "stored", "merged", "quarantined"}),
    "stored": frozenset({"uploading", "quarantined"}),
    "uploading": frozenset({"uploaded", "rejected", "quarantined"}),
    "uploaded": frozenset({"confirmed", "uploading", "quarantined"}),
    "confirmed": frozenset({"released", "stored"}),
    "rejected": frozenset({"stored", "quarantined"}),
    "missing": frozenset({"seen"}),
    "quarantined": frozenset({"seen", "stored"}),
    "merged": frozenset(),
    "released": frozenset(),
}
#: Events of a rebuild, and where they lead.
REBUILT: Mapping[str, frozenset[str]] = {
    "rebuilt": frozenset({"stored"}),
    "copy-missing": frozenset({"quarantined"}),
}
Digests = Mapping[str, tuple[str, int]]  # path → SHA-256 in hex, bytes


# Paths in a manifest (RFC 8493, 2.1.3)


def encoded(path: str) -> str:
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def decoded(path: str) -> str:
    """Raises Invalid for a path that leads out of the package, or could be written in another way."""
    made = re.sub("%(25|0[AaDd])", lambda found: chr(int(found[1], 16)), path)
    if path.startswith("/") or any(part in ("", ".", "..") for part in made.split("/")) or "\0" in made:
        raise Invalid(f"this path is none of a package: {path}")
    return made


def manifest(digests: Mapping[str, str]) -> bytes:
    """path → SHA-256 in hex, as the file that tells it."""
    return "".join(f"{digests[path]}  {encoded(path)}\n" for path in sorted(digests)).encode(
        "utf-8", "surrogatepass"
    )


def contents(digests: Mapping[str, str], entries: Mapping[int, bytes]) -> str:
    """What an export says of all that it hands out: SHA-256 over a manifest of the files (those of the log
    and erasable texts left out) and of the clips' entries, each as `data/log/<number of its event>`."""
    told = {path: digest for path, digest in digests.items() if not path.startswith((LOG, TEXTS))}
    proven = {f"{LOG}{seq}": hashlib.sha256(entry).hexdigest() for seq, entry in entries.items()}
    return hashlib.sha256(manifest({**told, **proven})).hexdigest()


# What lies in it


def digest_of(blocks: Iterable[bytes], national: Any = None) -> tuple[str, int]:
    """(SHA-256 in hex, bytes). `national`: another digest that takes them in on the way."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        if national is not None:
            national.update(block)
        size += len(block)
    return digest.hexdigest(), size


@dataclass(frozen=True)
class Package:
    """Of its files, those that were found without following any link: no other is ever opened."""

    box: Box
    digests: Digests
    national: Mapping[str, str | None]  # path → SM3 in hex, None where it cannot be made; where one is told

    def read(self, path: str) -> bytes:
        """Raises Invalid, OSError."""
        if path not in self.digests:
            raise Invalid(f"{path} is not there")
        if self.digests[path][1] > LARGEST:
            raise Invalid(f"{path} is too long")
        return b"".join(self.box.blocks(path, _BLOCK))


def listed(data: bytes) -> dict[str, str]:
    """What a manifest lists: path → SHA-256. Raises Invalid."""
    found: dict[str, str] = {}
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise Invalid("the manifest is not text") from None
    if lines.pop():
        raise Invalid("the manifest is cut off")
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise Invalid(f"a line of the manifest is none: {line[:80]}")
        path = decoded(match[2])
        if path in found:
            raise Invalid(f"the manifest lists {path} twice")
        found[path] = match[1]
    return found


# The checks


def check(place: str, given: str | None = None, witnesses: Sequence[Key] = ()) -> Iterator[Said]:
    """Every line of the verdict on the package, which is a folder or a zip file. `given`: the key (a vkey)
    that the station is known by, from elsewhere; `witnesses`: keys of other stations that are trusted, from
    elsewhere, too, any of them. Raises OSError when the package cannot be read at all."""
    try:
        box = opened(place)
    except Broken as error:
        yield Said(False, f"压缩包不成立：{error.zh}", f"the zip file: {error.en}")
        return
    try:
        yield from _checked(box, given, witnesses)
    finally:
        box.close()


def _checked(box: Box, given: str | None, witnesses: Sequence[Key]) -> Iterator[Said]:
    digests, national = dict[str, tuple[str, int]](), dict[str, str | None]()
    yield from (Said(False, zh, en) for zh, en in box.faults)
    files = sorted(box.files())
    for path, regular in files:
        if not regular:
            yield Said(False, f"不是普通文件：{path}", f"no regular file: {path}")
            continue
        second = sm3() if (SM3, True) in files else None
        try:
            digests[path] = digest_of(box.blocks(path, _BLOCK), second)
        except Invalid:
            digests[path] = _DAMAGED
        national[path] = second.hexdigest() if second else None
    package = Package(box, digests, national)
    yield from check_bag(package)
    try:
        key, head, note = _head(package)
        yield Said(
            True,
            f"日志头由密钥 {key.id.hex()} 签名：{head.origin}，{head.size} 条",
            f"the head is signed by key {key.id.hex()}: {head.origin}, {head.size} entries",
        )
    except Invalid as error:
        yield Said(False, "日志头或密钥不成立", f"head or key: {error}")
        return
    entries = dict[int, Facts]()
    raw = dict[int, bytes]()
    wrong = False
    cosigned = sorted(path for path in digests if path.startswith(COSIGNED))
    for path in sorted(one for one in digests if one.startswith(LOG) and one not in (KEY, HEAD, *cosigned)):
        try:
            seq, raw_entry, facts = _proven(path, package.read(path), head, note)
            raw[seq], entries[seq] = raw_entry, facts
        except Invalid as error:
            wrong = True
            yield Said(False, f"日志证明不成立：{path}", f"{path}: {error}")
    if not wrong:
        yield Said(
            True,
            f"{len(raw)} 条日志证明都在同一日志头之下",
            f"{len(raw)} entries are proven under this one head",
        )
    yield from check_export(package, entries, raw)
    events = [seq for seq, facts in entries.items() if facts.get("kind") not in OF_AN_EXPORT]
    yield from check_countersigned(cosigned, package.read, key, head, events, witnesses)
    changes = sorted(path for path in digests if path.startswith(CHANGES))
    before, wrong_changes = keys_before(changes, package.read, key)
    yield from wrong_changes
    yield _anchor(key, given, bool(witnesses), before)


def check_bag(package: Package) -> Iterator[Said]:
    """Against its manifests: what was added, removed, renamed, changed."""
    lists = dict[str, dict[str, str]]()
    try:
        if package.read("bagit.txt") != BAGIT:
            raise Invalid("bagit.txt is not that of this format")
        for name in (TAGS, MANIFEST, *([SM3] if SM3 in package.digests else [])):
            lists[name] = _listed(name, package.read(name))
    except Invalid as error:
        yield Said(False, f"清单不成立：{error}", f"the manifests: {error}")
    if TAGS not in lists:
        return
    told = {path: digest for name, one in lists.items() if name != SM3 for path, digest in one.items()}
    # Without a manifest of the payload nothing of the payload is judged by it; that it is none was said.
    there = {path for path in package.digests if path != TAGS and (len(lists) > 1 or path in told)}
    faults = list(_differences(package.digests, there, told))
    yield from faults
    if not faults and len(lists) > 1:
        count = len(lists[MANIFEST])
        yield Said(True, f"{count} 个文件与清单一致", f"the {count} files are those of the manifest")
    if SM3 in lists:
        payload = {path: one for path, one in package.national.items() if path.startswith("data/")}
        yield from check_sm3(lists[SM3], payload)


def _listed(name: str, data: bytes) -> dict[str, str]:
    """Raises Invalid."""
    try:
        found = listed(data)
    except Invalid as error:
        raise Invalid(f"{name}: {error}") from None
    for path in found:
        if path.startswith("data/") is (name == TAGS):
            raise Invalid(f"{name} lists what belongs into the other one: {path}")
    return found


def _differences(digests: Digests, there: set[str], told: Mapping[str, str]) -> Iterator[Said]:
    extra = sorted(there - told.keys())
    for path in sorted(told.keys() - there):
        other = next((one for one in extra if digests[one][0] == told[path]), None)
        if other is None:
            yield Said(False, f"缺少文件：{path}", f"removed: {path}")
        else:
            extra.remove(other)
            yield Said(False, f"被改名：{path} → {other}", f"renamed: {path} is now {other}")
    yield from (Said(False, f"多出文件：{path}", f"added: {path}") for path in extra)
    for path in sorted(told.keys() & there):
        if digests[path][0] != told[path]:
            yield Said(False, f"内容被改动：{path}", f"changed: {path}")


def check_export(package: Package, entries: Entries, raw: Mapping[int, bytes]) -> Iterator[Said]:
    """That the station handed out exactly this, and that each clip is what its entries say."""
    exports = [seq for seq, facts in entries.items() if facts.get("kind") == "exported"]
    try:
        if len(exports) != 1:
            raise Invalid(f"{len(exports)} entries tell of an export, not one")
        (seq,) = exports
        body = body_of(entries[seq])
        story = {one: entry for one, entry in raw.items() if one != seq}
        plain = {path: digest for path, (digest, _) in package.digests.items() if path.startswith("data/")}
        if contents(plain, story) != body.get("contents"):
            raise Invalid(f"entry {seq} exported something else: a file or an entry is another, or not there")
        told = _told(package, body)
        ordered = Ordered(seq, body, entries)
        dockings = Dockings(parsed(package.read(EXPORT)).get("dockings"), entries)
        _strange(package, told, entries, dockings.events | ordered.events)
    except Invalid as error:
        yield Said(False, "导出记录与本包不符", f"the export: {error}")
        return
    at = entries[seq].get("at")
    yield Said(
        True, f"本包正是日志第 {seq} 号事件导出的内容（{at}）", f"this is what event {seq} exported, at {at}"
    )
    yield from _texts(package, body, ordered)
    stories = dict[object, list[Facts]]()
    for _, facts in sorted(entries.items()):
        if isinstance(facts.get("clip"), int):
            stories.setdefault(facts["clip"], []).append(facts)
    for clip in told:
        key = str(clip.get("key"))
        try:
            _clip(package, clip, stories.get(clip["clip"], []), dockings)
            yield Said(
                True,
                f"录像 {clip['clip']} 与其附文、日志一致：{key}",
                f"clip {clip['clip']} is what its sidecar and the log say, to {clip['state']}: {key}",
            )
        except Invalid as error:
            yield Said(False, f"录像不成立：{key}", f"clip {key}: {error}")
    yield from dockings.said()
    yield from check_times(_told_times(package), dockings)


def _head(package: Package) -> tuple[Key, Head, bytes]:
    try:
        key = Key.parse(package.read(KEY).decode().removesuffix("\n"))
    except UnicodeDecodeError:
        raise Invalid("this is no key") from None
    data = package.read(HEAD)
    note = Note.parse(data)
    origin = Head.parse(note.text).origin
    if origin.rpartition("/")[0] != key.name:
        raise Invalid(f"{key.name} is not the station of {origin}")
    return key, Head.checked(note, [key], origin), data


def _proven(path: str, data: bytes, head: Head, note: bytes) -> tuple[int, bytes, Facts]:
    """(number of the event, its entry, what that says)."""
    named = _PROOF.fullmatch(path)
    if named is None:
        raise Invalid("this does not belong here")
    proof = Proof.parse(data)
    if proof.note.data != note:
        raise Invalid("this proof is under another head")
    if proof.data != data:
        raise Invalid("this is no proof as a station writes it")
    seq = int(named[1])
    check_inclusion(leaf_hash(proof.extra), proof.index, head.size, proof.hashes, head.root)
    facts = parsed(proof.extra)
    if proof.index != seq - 1 or facts.get("seq") not in (seq, str(seq)):
        raise Invalid(f"this proves another entry than that of event {seq}")
    return seq, proof.extra, facts


def _told(package: Package, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The clips of the package; those that the entry names."""
    clips = parsed(package.read(EXPORT)).get("clips")
    if not isinstance(clips, list) or not all(
        isinstance(one, dict) and one.keys() >= {"key", "state"} and isinstance(one.get("clip"), int)
        for one in clips
    ):
        raise Invalid(f"{EXPORT} does not say which clips these are")
    if [one["clip"] for one in clips] != body.get("clips"):
        raise Invalid("the export's entry names other clips")
    return clips


def _told_times(package: Package) -> list[dict[str, Any]]:
    """What is told of the clips' true times; nothing where that is no such list, which `exported` pins."""
    try:
        found = json.loads(package.read(TIMES))
    except (Invalid, ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _texts(package: Package, body: Mapping[str, Any], ordered: Ordered) -> Iterator[Said]:
    """Names and the reason, of which the entries have the salted digests."""
    wanted = {f"{TEXTS}{body.get(name)}.json": name for name in ("name", "reason")}
    if ordered.approver is None:
        yield Said(True, "没有第二人批准", "no second person approved it")
    else:
        wanted[f"{TEXTS}{ordered.approver}.json"] = "approver"
    for path in sorted({path for path in package.digests if path.startswith(TEXTS)} | set(wanted)):
        try:
            if path not in wanted:
                raise Invalid("this does not belong here")
            said = parsed(package.read(path))
            text, salt = said.get("text"), said.get("salt")
            if (
                not isinstance(text, str)
                or not isinstance(salt, str)
                or package.read(path) != _said(text, salt)
            ):
                raise Invalid("this is no text as a station keeps it")
            made = hashlib.sha256(bytes.fromhex(salt) + text.encode("utf-8", "backslashreplace"))
            if made.hexdigest() != path[len(TEXTS) : -len(".json")]:
                raise Invalid(f"this is not the {wanted[path]} of the export's entry")
            if wanted[path] == "approver":
                yield Said(
                    True,
                    f"由第二人批准（第 {ordered.approved} 号事件）：{text}",
                    f"a second person approved it (event {ordered.approved}): {text}",
                )
                continue
            zh = {"name": "导出人", "reason": "导出理由"}[wanted[path]]
            yield Said(True, f"{zh}：{text}", f"{wanted[path]} of the export: {text}")
        except (Invalid, ValueError) as error:
            yield Said(False, f"导出人或理由不成立：{path}", f"{path}: {error}")


def _said(text: str, salt: str) -> bytes:
    return json.dumps({"salt": salt.lower(), "text": text}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def _strange(
    package: Package, clips: Iterable[Mapping[str, Any]], entries: Entries, dockings: set[int]
) -> None:
    """Nothing but the clips that are told of, their entries, and those of their dockings. Raises Invalid."""
    clips = list(clips)
    ids = {clip["clip"] for clip in clips}
    export = max(seq for seq, facts in entries.items() if facts.get("kind") == "exported")
    for seq, facts in entries.items():
        clip = facts.get("clip")
        if not (isinstance(clip, int) and clip in ids) and seq != export and seq not in dockings:
            raise Invalid(f"the entry of event {seq} is about none of these clips")
        if seq > export:
            raise Invalid(f"event {seq} came after the export")
    due = {f"{CLIPS}{clip['key']}{ending}" for clip in clips for ending in ("", ".json")}
    for path in sorted(path for path in package.digests if path.startswith(CLIPS)):
        if path not in due:
            raise Invalid(f"no clip that is told of lies at {path}")


def _clip(package: Package, clip: Mapping[str, Any], own: list[Facts], dockings: Dockings) -> None:
    """Raises Invalid."""
    key = decoded(f"{CLIPS}{clip['key']}")
    if key not in package.digests:
        raise Invalid("the clip is not there")
    digest, size = package.digests[key]
    sidecar = parsed(package.read(f"{key}.json"))
    if (sidecar.get("key"), sidecar.get("sha256"), sidecar.get("size")) != (clip["key"], digest, size):
        raise Invalid("the sidecar is that of another clip: key, SHA-256 or size differ")
    bodies = [body_of(facts) for facts in own]
    if package.national.get(key) not in (None, sidecar.get("sm3", package.national[key])):
        raise Invalid("the sidecar has another SM3")
    safe = [body for facts, body in zip(own, bodies, strict=True) if facts["kind"] in ("stored", "rebuilt")]
    # The catalog may have said `stored` again when a target had lost it: that entry names no bytes.
    safe = [body for body in safe if "sha256" in body]
    if not safe:
        raise Invalid("no entry says that it was stored")
    wanted = {"sha256": digest, "key": clip["key"], "size": size}
    for name, value in wanted.items():
        if safe[-1].get(name, value) not in (value, str(value)):
            raise Invalid(f"its entry `stored` has another {name}")
    _way(zip((str(facts["kind"]) for facts in own), bodies, strict=True), clip["state"])
    dockings.check(own, sidecar.get("recorder"))


def _way(events: Iterable[tuple[str, Mapping[str, Any]]], end: object) -> None:
    """That each change of state goes on from the one before, and the last one leads to `end`. A rebuild of
    the catalog looks for the clip itself, and says what it found whatever was known before."""
    state: Any = None
    for kind, body in events:
        if "to" not in body:
            continue
        moves = MOVES[state] if state is None else REBUILT.get(kind, MOVES[state])
        if body.get("from") != state or str(body["to"]) not in moves:
            raise Invalid(f"its story has a gap: from {body.get('from')} to {body['to']}, after {state}")
        state = str(body["to"])
    if state != end:
        raise Invalid(f"its story ends as {state}, the report says {end}")


def _anchor(key: Key, given: str | None, witnessed: bool, before: Collection[str]) -> Said:
    """Whose key it is: nothing in a package can say that. `before`: earlier keys, which lead to it."""
    if given is None and witnessed:
        return Said(
            True,
            f"没有给出本站公钥（--key），来源以会签为准。包内公钥：{key.vkey}",
            f"no key was given (--key): the countersignature is the anchor. The package's key: {key.vkey}",
        )
    if given is None:
        return Said(
            True,
            f"前后一致，来源未确定：没有给出本站公钥（--key）。包内公钥：{key.vkey}",
            f"consistent, origin not established: no key was given (--key). The package's: {key.vkey}",
        )
    if given.strip() == key.vkey:
        return Said(True, "公钥正是所给出的那一把", "the key is the one that was given")
    if given.strip() in before:
        return Said(
            True,
            f"所给出的公钥已更换为包内公钥，更换由新旧密钥共同签署：{key.vkey}",
            f"the key that was given was changed, signed by both at each step, to the package's: {key.vkey}",
        )
    return Said(
        False,
        f"公钥不是所给出的那一把，包内公钥：{key.vkey}",
        f"the key is not the one that was given; the package's: {key.vkey}",
    )


LIMITS = (
    "记录仪接入采集站之前发生的事，本包一概不能证明。\n"
    "nothing before docking is proven: what a recorder did before is not known to the station."
)


def main(arguments: list[str]) -> int:
    """0: all of it holds, 1: something does not, 2: wrong usage."""
    try:
        folder, given, witnesses = _asked(arguments)
    except Invalid as error:
        print(
            f"用法 usage: python verify.py PACKAGE [--key VKEY] [--witness VKEY]…\n{error}", file=sys.stderr
        )
        return 2
    wrong = 0
    try:
        for said in check(folder, given, witnesses):
            print(said.line)
            wrong += not said.holds
    except OSError as error:
        print(plainly(f"[不成立 WRONG] 无法读取 cannot be read: {error}"))
        wrong += 1
    print(LIMITS)
    if wrong:
        print(f"结论：不成立，{wrong} 处不符\nverdict: does NOT hold, {wrong} things are wrong")
    elif given is not None:
        print("结论：成立\nverdict: it holds, under the key that was given")
    elif witnesses:
        print("结论：成立，以会签为准\nverdict: it holds, under a countersignature by a key that was given")
    else:
        print("结论：前后一致，来源未确定\nverdict: consistent, origin not established")
    return 1 if wrong else 0


def _asked(arguments: list[str]) -> tuple[str, str | None, list[Key]]:
    """(folder, key, witnesses). Raises Invalid."""
    folder, *options = arguments or [""]
    found: dict[str, list[str]] = {"--key": [], "--witness": []}
    for name, value in zip(options[::2], [*options[1::2], ""], strict=False):
        if not value or name not in found:
            raise Invalid(f"{name} {value}")
        found[name].append(value)
    if not folder or folder.startswith("-") or len(found["--key"]) > 1:
        raise Invalid(folder)
    return folder, next(iter(found["--key"]), None), [countersigning(one) for one in found["--witness"]]


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
