"""Two stations and one bucket: what left a station as its log cannot be taken back, nor told anew."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.custody.log import leaving, opening, ordering, told
from agent.custody.log.keeper import Keeper
from agent.custody.texts import Texts
from agent.upload.report.log import highest
from agent.upload.report.turn import Author, Report
from agent.upload.scheduler import Uploads
from agent.upload.targets.base import go_on
from agent.upload.targets.documents import Documents
from tests.contract.s3_kit import S3Kit
from tests.dockside import Dockside, recorder
from tests.here import require
from tests.servers.rclone import Rclone
from tests.servers.weed import ADMIN, Weed
from tests.uploading import locked

ONE, TWO = "0123456789abcdef" * 2, "fedcba9876543210" * 2


class Whole:
    """A station that docks, uploads, keeps its log and tells the centre."""

    def __init__(self, root: Path, kit: S3Kit, who: str, key: Path | None = None) -> None:
        self.side = Dockside(root)
        self.store = self.side.store.root
        self.custody, self.who = self.store / "custody", who
        if key is not None:
            self.custody.mkdir()
            for name in ("key", "key.pub"):
                shutil.copy(key / name, self.custody / name)
        target = kit.target()
        assert isinstance(target, Documents)
        self.uploads = Uploads(self.side.catalog, {"centre": target}, self.side.store.path, lock=locked())
        self.keeper = Keeper(self.side.catalog, self.custody, who)
        author = Author(who, who, dict, self._leaving, lambda: opening.number_of(self.side.catalog))
        self.target = target
        self.report = Report(author, self.uploads.generation, target, go_on)

    def _leaving(self, log: int, size: int) -> Iterator[leaving.Step]:
        return leaving.steps(self.custody, log, size, told.first(self.side.catalog.read()))

    def live(self, folder: Path) -> None:
        """One docking, and all that follows from it."""
        assert self.side.dock(folder)[0]
        while self.uploads.step():
            pass
        self.tell()

    def tell(self) -> None:
        while self.keeper.step():
            pass
        assert self.report.turn()

    def begin(self) -> None:
        """Another log is ordered; the keeper carries it out at its next step."""

        def above(number: int) -> int:
            return highest(self.who, self.target, number, go_on)

        made = ordering.commands(self.side.catalog, Texts(self.store), above)
        made["log-begin"]({"person": "王伟", "reason": "恢复"}, "uid 7")

    def found(self, heads: Path) -> set[str]:
        return {finding.key for finding in audit(self.store, Looked(), heads=heads)}


@contextmanager
def station(root: Path, kit: S3Kit, who: str, key: Path | None = None) -> Iterator[Whole]:
    made = Whole(root, kit, who, key)
    with closing(made.side):
        yield made


def test_a_rewritten_history_is_caught_by_the_heads_that_left_and_no_other_station_is_accused(
    kit: S3Kit, weed: Weed, tmp_path: Path
) -> None:
    require("rclone")
    folders = [
        recorder(
            tmp_path / name, {f"DCIM/{name}_000001_2026010112{n:02}00_{n:04}.mp4": 700 for n in range(3)}
        )
        for name in ("8888888", "7777777")
    ]
    with station(tmp_path / "one", kit, ONE) as one, station(tmp_path / "two", kit, TWO) as two:
        one.live(folders[0])
        two.live(folders[1])

        # Somebody with the disk and the key of the first station lives its life again, without one clip.
        next((folders[0] / "DCIM").iterdir()).unlink()
        with station(tmp_path / "again", kit, ONE, one.custody) as again:
            again.live(folders[0])
            for _ in range(20):  # as long as the true one, and longer
                again.side.dock(folders[0])
            again.tell()
            assert again.report.written_by_two()
            Rclone(weed.url, ADMIN).copy(kit.name, tmp_path / "centre")
            left = tmp_path / "centre" / "stations"
            assert again.found(left / ONE) == {"elsewhere-differs"}
        assert one.found(left / ONE) == set()
        assert two.found(left / TWO) == set()
        assert not one.report.written_by_two()
        assert not two.report.written_by_two()


def test_a_station_restored_from_an_old_copy_begins_another_log_in_the_bucket_of_its_true_one(
    kit: S3Kit, weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("rclone")
    monkeypatch.setattr(ordering, "_WAIT", 0.0)
    number = iter(range(1, 100))

    def another() -> Path:
        n = next(number)
        return recorder(tmp_path / f"r{n}", {f"DCIM/8888888_000001_202601011200{n:02}_{n:04}.mp4": 700 + n})

    with station(tmp_path / "one", kit, ONE) as one:
        one.live(another())
    shutil.copytree(tmp_path / "one", tmp_path / "old")
    with station(tmp_path / "one", kit, ONE) as one:
        one.live(another())
        (one.custody / "key").unlink()  # its log breaks once more before the disk is gone: numbers go on
    with station(tmp_path / "one", kit, ONE) as one:
        one.live(another())
    with station(tmp_path / "old", kit, ONE) as old:
        old.live(another())
        assert old.report.written_by_two()
        old.begin()
        old.tell()
        assert not old.report.written_by_two()
        old.live(another())
        assert not old.report.written_by_two()
        Rclone(weed.url, ADMIN).copy(kit.name, tmp_path / "centre")
        left = tmp_path / "centre" / "stations" / ONE / "custody"
        assert sorted(path.name for path in left.iterdir()) == ["1", "2", "3"]
        looked = Looked()
        assert list(audit(old.store, looked, heads=left)) == []
        assert looked.apart >= 2  # the true one's last heads of log 1, and its log 2
