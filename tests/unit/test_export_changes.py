"""A package of a station whose key was changed: who has the old key written down can check it, too."""

import base64
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.custody.log import ordering, signer
from agent.custody.log.signer import Signer
from agent.custody.texts import Texts
from agent.custody.verifier import Note, Proof
from tests.exporting import Exporting, remade, run, wrong


class Changed(Exporting):
    """Its key was changed twice. `vkeys`: from the first one on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.vkeys, self.seeds = [self.vkey], [self.seed]
        command = ordering.commands(self.side.catalog, Texts(self.store), lambda number: number)["log-rekey"]
        for _ in range(2):
            command({"person": "王伟", "reason": "年度更换"}, "uid 7")
            self.log()
            self.vkeys.append(self.vkey)
            self.seeds.append(self.seed)

    @property
    def seed(self) -> bytes:
        return base64.b64decode((self.store / "custody" / "key").read_bytes())


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Changed]:
    monkeypatch.setattr(ordering, "_WAIT", 0.0)
    made = Changed(tmp_path)
    yield made
    made.side.close()


def test_every_key_that_the_station_ever_had_leads_to_the_package(station: Changed) -> None:
    bag = station.export()
    assert sorted(path.name for path in (bag / "data" / "changes").iterdir()) == ["1.proof", "2.proof"]
    assert len(set(station.vkeys)) == 3
    for vkey in station.vkeys:
        assert wrong(bag, vkey) == []
        assert run(bag, "--key", vkey).returncode == 0
    assert "was changed, signed by both" in run(bag, "--key", station.vkeys[0]).stdout
    assert wrong(bag) == []
    stranger = signer.make(station.root, "station/0123456789abcdef0123456789abcdef", "x").key.vkey
    assert any("is not the one that was given" in said for said in wrong(bag, stranger))


def test_a_package_of_an_unchanged_station_has_no_changes(tmp_path: Path) -> None:
    made = Exporting(tmp_path)
    assert not (made.export() / "data" / "changes").exists()
    made.side.close()


def signed(bag: Path, *by: Signer) -> None:
    path = bag / "data" / "changes" / "1.proof"
    proof = Proof.parse(path.read_bytes())
    text = proof.note.text
    note = Note(text, tuple(one for each in by for one in each.sign(text).signatures))
    path.write_bytes(Proof(proof.index, proof.hashes, note, proof.extra).data)


def name_of(station: Changed) -> str:
    return station.vkey.partition("+")[0]


def key(station: Changed, number: int) -> Signer:
    return Signer(station.seeds[number], name_of(station))


def stranger(station: Changed) -> Signer:
    return Signer(hashlib.sha256(b"stranger").digest(), name_of(station))


TAMPERING: dict[str, Callable[[Path, Changed], object]] = {
    "signed by the old key only": lambda bag, station: signed(bag, key(station, 0)),
    "signed by the new key only": lambda bag, station: signed(bag, key(station, 1)),
    "signed by a wrong key": lambda bag, station: signed(bag, key(station, 0), stranger(station)),
    "a change left out": lambda bag, _: (bag / "data/changes/1.proof").unlink(),
    "the later change left out": lambda bag, _: (bag / "data/changes/2.proof").unlink(),
    "no changes at all": lambda bag, _: shutil.rmtree(bag / "data/changes"),
    "one change twice": lambda bag, _: (bag / "data/changes/1.proof").write_bytes(
        (bag / "data/changes/2.proof").read_bytes()
    ),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_a_change_that_was_altered_is_named_whatever_the_manifests_say(station: Changed, kind: str) -> None:
    bag = station.export()
    TAMPERING[kind](bag, station)
    remade(bag)
    found = wrong(bag, station.vkeys[0])
    assert found
    assert run(bag, "--key", station.vkeys[0]).returncode == 1
    assert wrong(bag, station.vkey)  # the export pins what leads to its key, too
