"""Servers that speak tus as the contract suite sees them; round the target, through what each keeps on its
disk or, of SeaweedFS, through its filer."""

import itertools
import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import requests

from agent.model import StoredClip
from agent.upload.targets.base import Target
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.tus.bare import BareTarget
from agent.upload.targets.tus.named import NamedTarget
from agent.upload.targets.tus.protocol import Server
from tests.servers.tus_node import TusNode
from tests.servers.tus_resumable import TusResumable
from tests.servers.weed import Weed
from tests.uploading import KEY, PART, clip_of

_numbers = itertools.count(1)
_TUS = {"Tus-Resumable": "1.0.0"}


def call(method: str, url: str, data: bytes = b"", **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.request(method, url, data=data, headers={**_TUS, **named}, timeout=60)


class TusKit(ABC):
    part = PART
    compares_parts = False
    appends = True
    url: str  # where uploads are created
    port: int

    def target(self) -> Target:
        return self.target_at(self.url)

    def through(self, port: int) -> str:
        """The same, by a proxy on this machine."""
        return self.url.replace(f":{self.port}/", f":{port}/")

    @abstractmethod
    def target_at(self, url: str, **wire: Any) -> Target: ...

    def clip(self, data: bytes, key: str = KEY) -> StoredClip:
        return clip_of(data, key, self.part)

    def manifest(self, clip: StoredClip) -> Any:
        return json.loads(self.at(f"{clip.key}.json") or b"")

    def object(self, clip: StoredClip) -> bytes | None:
        return self.at(clip.key)

    def remove(self, clip: StoredClip, *, manifest: bool) -> None:
        self.forget(f"clips/{clip.key}" + (".json" if manifest else ""))

    @abstractmethod
    def at(self, key: str) -> bytes | None:
        """The clip or manifest that lies whole under `key`."""

    @abstractmethod
    def forget(self, path: str) -> None:
        """Remove what lies at `path` in the layout that they share."""


class WeedTusKit(TusKit):
    """A folder of its own in the filer."""

    def __init__(self, weed: Weed) -> None:
        self._folder = f"tus-{next(_numbers)}"
        self._filer = weed.filer
        self._objects = f"{weed.filer}/{self._folder}/clips"
        self.url = f"{weed.filer}/.tus/{self._folder}"
        self.port = weed.ports[2]
        self._first_contact = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        call("DELETE", f"{self._filer}/{self._folder}?recursive=true")

    def target_at(self, url: str, **wire: Any) -> Target:
        server = Server(Wire(Line(), **wire), url)
        made = NamedTarget("centre", "tus", server, first_contact=self._first_contact)
        if self._first_contact:
            made.place()
        self._first_contact = False
        return made

    def at(self, key: str) -> bytes | None:
        answer = call("GET", f"{self._objects}/{quote(key)}")
        return answer.content if answer.status_code == 200 else None

    def place(self, clip: StoredClip, data: bytes) -> None:
        put = call("PUT", f"{self._objects}/{quote(clip.key)}", data, Content_Type="video/mp4")
        assert put.status_code == 201, put.text

    def forget(self, path: str) -> None:
        assert call("DELETE", f"{self._filer}/{self._folder}/{quote(path)}").status_code == 204

    def transfer(self, token: str) -> bytes | None:
        """As many zeros as it holds: it gives nothing back of what is not whole."""
        head = call("HEAD", self._filer + token.removeprefix("anew:"))
        return bytes(int(head.headers["Upload-Offset"])) if head.status_code == 200 else None

    def set_transfer(self, token: str, data: bytes | None) -> None:
        upload = self._filer + token
        if data is None:
            assert call("DELETE", upload).status_code == 204
            return
        notes = f"{self._filer}/.uploads.tus/{token.rpartition('/')[2]}/"
        for name in self._chunks(notes):
            assert call("DELETE", notes + name).status_code == 204
        length = int(call("HEAD", upload).headers["Upload-Length"])
        kept = {"Upload_Offset": "0", "Content_Type": "application/offset+octet-stream"}
        assert call("PATCH", upload, data[: min(len(data), length - 1)], **kept).status_code == 204
        if len(data) > length:  # it takes no more than that itself: but a note may be wrong
            [name] = self._chunks(notes)
            start, at, _, file = name.split("_", 3)
            longer = f"/.uploads.tus/{token.rpartition('/')[2]}/{start}_{at}_{len(data):016}_{file}"
            moved = call("POST", f"{self._filer}{longer}?mv.from={notes.removeprefix(self._filer)}{name}")
            assert moved.ok, moved.text

    def _chunks(self, notes: str) -> list[str]:
        entries = call("GET", notes, Accept="application/json").json()["Entries"] or []
        names = [entry["FullPath"].rpartition("/")[2] for entry in entries]
        return [name for name in names if name.startswith("chunk_")]


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    length: int
    offset: int
    key: str
    begun: str  # sorts by time


class BareKit(TusKit):
    """What was begun since, of all that the server has."""

    def __init__(self, url: str, port: int, uploads: Path) -> None:
        self.url, self.port = url, port
        self._files = uploads
        self._before = {upload.id for upload in self._all()}
        self._known = ""

    def target_at(self, url: str, **wire: Any) -> Target:
        made = BareTarget("centre", "tus", Server(Wire(Line(), **wire), url), known=self._known)
        self._known = self._known or made.place()
        return made

    def at(self, key: str) -> bytes | None:
        whole = [one for one in self._of(key) if one.offset == one.length]
        return self._file(whole[-1].id).read_bytes() if whole else None

    def place(self, clip: StoredClip, data: bytes) -> None:
        """Other bytes into what lies there."""
        last = self._of(clip.key)[-1]
        self._file(last.id).write_bytes(data)
        self._resize(last.id, offset=len(data), length=len(data))

    def forget(self, path: str) -> None:
        for one in self._of(path.removeprefix("clips/")):
            assert call("DELETE", f"{self.url}/{one.id}").status_code == 204

    def transfer(self, token: str) -> bytes | None:
        found = [one for one in self._all() if one.id == _id(token) and one.offset < one.length]
        return self._file(found[0].id).read_bytes()[: found[0].offset] if found else None

    def set_transfer(self, token: str, data: bytes | None) -> None:
        if data is None:
            assert call("DELETE", f"{self.url}/{_id(token)}").status_code == 204
            return
        self._file(_id(token)).write_bytes(data)
        self._resize(_id(token), offset=len(data))

    def _of(self, key: str) -> list[Upload]:
        found = [one for one in self._all() if one.key == key and one.id not in self._before]
        return sorted(found, key=lambda one: one.begun)

    def _file(self, id: str) -> Path:
        return self._files / id

    @abstractmethod
    def _all(self) -> list[Upload]: ...

    @abstractmethod
    def _resize(self, id: str, *, offset: int, length: int | None = None) -> None:
        """What it believes of an upload from now on."""


class NodeKit(BareKit):
    def __init__(self, server: TusNode) -> None:
        super().__init__(server.url, server.ports[0], server.uploads)

    def _all(self) -> list[Upload]:
        return [self._upload(path) for path in self._files.glob("*.json")]

    def _upload(self, path: Path) -> Upload:
        about = json.loads(path.read_bytes())
        size = path.with_suffix("").stat().st_size
        key = about.get("metadata", {}).get("key", "")
        return Upload(about["id"], about["size"], size, key, about["creation_date"])

    def _resize(self, id: str, *, offset: int, length: int | None = None) -> None:
        """The offset is the file's size."""
        if length is not None:
            path = self._files / f"{id}.json"
            path.write_text(json.dumps({**json.loads(path.read_bytes()), "size": length}))


class ResumableKit(BareKit):
    def __init__(self, server: TusResumable) -> None:
        self._database = server.folder / "uploads.db"
        super().__init__(server.url, server.ports[0], server.uploads)

    def _all(self) -> list[Upload]:
        with closing(sqlite3.connect(self._database)) as db:
            rows = db.execute("SELECT upload_id, upload_length, offset, metadata, rowid FROM uploads")
            return [
                Upload(id, length, offset, json.loads(metadata).get("key", ""), f"{number:09}")
                for id, length, offset, metadata, number in rows
            ]

    def _resize(self, id: str, *, offset: int, length: int | None = None) -> None:
        with closing(sqlite3.connect(self._database)) as db, db:
            db.execute("UPDATE uploads SET offset = ? WHERE upload_id = ?", (offset, id))
            if length is not None:
                db.execute("UPDATE uploads SET upload_length = ? WHERE upload_id = ?", (length, id))


def _id(token: str) -> str:
    return token.split(" ")[0].rpartition("/")[2]
