"""The log is what others take for one: Go's own note and tlog judge heads, proofs and tiles, both ways."""

import base64
import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.custody.log import heads, tiles
from agent.custody.log.shelf import BATCH, Shelf, read_bundle
from agent.custody.log.signer import Signer
from agent.custody.verifier import Head, Key, Note
from tests.here import require

SOURCE = Path(__file__).parents[1] / "other" / "judge.go"
ORIGIN = "station/0123456789abcdef/1"
SIZES = (1, 2, 255, 256, 257, 1000, 1030, 2000)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("go-note")
    folder = tmp_path_factory.mktemp("judge")
    env = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(folder / "cache"),
    }
    subprocess.run(["go", "build", "-o", folder / "judge", SOURCE], check=True, env=env, timeout=600)
    return folder / "judge"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    signer = Signer(bytes(range(32)), "station/0123456789abcdef")
    shelf = Shelf(folder, ORIGIN, signer.key)
    for size in SIZES:
        assert size - shelf.size <= BATCH
        shelf.append([b'{"seq":%d}' % number for number in range(shelf.size + 1, size + 1)])
        shelf.seal(signer.sign)
    (folder / "key.pub").write_text(signer.key.vkey + "\n")
    return folder


@pytest.fixture(scope="module")
def claims(log: Path) -> dict[str, Any]:
    key = Key.parse((log / "key.pub").read_text().strip())
    shelf = Shelf(log, ORIGIN, key)
    notes = [note for _, note in heads.walk(log, ORIGIN) if isinstance(note, Note)]
    return {
        "Vkey": key.vkey,
        "Heads": [_b64(note.data) for note in notes],
        "Entries": [
            {
                "Index": index,
                "Data": _b64(read_bundle(log, index // 256)[index % 256]),
                "Proof": [_b64(one) for one in tiles.inclusion(index, shelf.size, shelf.read)],
            }
            for index in (0, 1, 254, 255, 256, 999, 1023, 1024, 1792, 1999)
        ],
        "Trees": [
            {"Old": at, "Proof": [_b64(one) for one in tiles.consistency(size, shelf.size, shelf.read)]}
            for at, size in enumerate(SIZES)
        ],
    }


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def judged(judge: Path, log: Path, claims: dict[str, Any]) -> bool:
    ran = subprocess.run(
        [judge, "log", log], input=json.dumps(claims), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout or ran.stderr
    return ran.stdout == "true\n"


def test_go_believes_heads_proofs_and_tiles_of_a_station(
    judge: Path, log: Path, claims: dict[str, Any]
) -> None:
    assert judged(judge, log, claims)


def _flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return _b64(bytes(data))


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a head": lambda all_: all_["Heads"].__setitem__(3, _flipped(all_["Heads"][3])),
    "an entry": lambda all_: all_["Entries"][4].update(Data=_b64(b"other")),
    "an index": lambda all_: all_["Entries"][4].update(Index=5),
    "a proof of an entry": lambda all_: all_["Entries"][4]["Proof"].pop(),
    "a proof of a head": lambda all_: all_["Trees"][2]["Proof"].pop(),
    "another key": lambda all_: all_.update(Vkey=Signer(bytes(32), "station/0123456789abcdef").key.vkey),
}


@pytest.mark.parametrize("what", WRONG)
def test_go_believes_nothing_that_was_altered(
    judge: Path, log: Path, claims: dict[str, Any], what: str
) -> None:
    altered = copy.deepcopy(claims)
    WRONG[what](altered)
    assert not judged(judge, log, altered)


def test_what_go_has_signed_is_believed_here(judge: Path) -> None:
    said = json.loads(subprocess.check_output([judge, "sign"], timeout=60))
    key, note = Key.parse(said["vkey"]), Note.parse(base64.b64decode(said["note"]))
    assert Head.checked(note, [key], "other.example/log") == Head("other.example/log", 7, b"\7" * 32)
    assert note.data == base64.b64decode(said["note"])
