"""The test vectors in docs/evidence.md are what the code makes."""

import json
import re
import time
from pathlib import Path

import pytest

from agent.catalog.clocks import Recorded
from agent.custody.anchors import Countersigned
from agent.custody.clocks.corrected import correct
from agent.custody.log import tiles
from agent.custody.log.signer import Signer
from agent.custody.log.witness import Witness, cosigner
from agent.custody.verifier import Head, Note, leaf_hash

TEXT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text("utf-8").split("## Test vectors")[1]
A, B = Signer(b"\1" * 32, "station/a"), Signer(b"\2" * 32, "station/b")
HASHES = [leaf_hash(b"%d" % number) for number in range(5)]


def vector(name: str) -> str:
    """The block behind the line that begins with `name` in bold."""
    found = re.search(rf"^\*\*{name}\*\*(?:(?!```).)*```\n(.*?)```$", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, name
    return found[1]


def read(level: int, n: int) -> bytes:
    return tiles.tile_root(HASHES[n << level : (n + 1) << level])


def head(size: int) -> Note:
    return A.sign(Head("station/a/1", size, tiles.root(size, read)).text)


def countersigned() -> Countersigned:
    own = head(3)
    note = Note(own.text, (*own.signatures, Witness(Path("/"), B)._signed(own.text, 1_700_000_000)))
    return Countersigned(cosigner(B.key), tuple(tiles.consistency(3, 5, read)), note)


def test_the_head_of_a_package() -> None:
    assert vector("Head") == head(5).data.decode()
    assert f"`{A.key.vkey}`" in TEXT


def test_a_countersigned_head() -> None:
    assert vector("Countersigned head") == countersigned().data.decode()
    found = Countersigned.parse(vector("Countersigned head").encode())
    old, at = found.check(A.key, Head.parse(head(5).text))
    assert (old.size, at) == (3, 1_700_000_000)
    assert f"`{found.path}`" in TEXT


def test_a_true_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = json.loads(vector("True time"))
    low, high = wanted["ahead_seconds"]
    of = Recorded(
        wanted["docking"], wanted["docked"], True, wanted["left"], low, high, wanted["recorded_at"], True
    )
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "XXX-8")
        time.tzset()
        made = correct(wanted["clip"], of).facts
    time.tzset()
    assert made == wanted
