"""Whatever an honest station lives through, its log comes out whole: the audit accuses nobody."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.custody.log import heads
from agent.custody.rebuild import rebuild_store
from tests.custody_house import STATION, House

LATER = 4e9

lives = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), st.integers(1, 300)),
        st.tuples(st.just("log"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("torn head"), st.integers(1, 200)),
        st.tuples(st.just("unsigned"), st.integers(0, 70_000)),
        st.tuples(st.just("tile lost"), st.integers(0, 1)),
        st.tuples(st.just("key lost"), st.integers(0, 1)),
        st.tuples(st.just("log lost"), st.just(0)),
        st.tuples(st.just("catalog lost"), st.integers(0, 1)),
        st.tuples(st.just("catalog rebuilt"), st.integers(0, 300)),
    ),
    max_size=12,
)


def suffer(house: House, what: str, figure: int) -> House:
    """A step of a station's life; from the third kind on the agent was killed meanwhile."""
    if what == "happen":
        house.happen(figure)
        return house
    if what == "log":
        house.log()
        return house
    house.log()
    if what == "catalog rebuilt" and figure:
        house.happen(figure)  # nobody will ever know
    log = max(house.custody.glob("[0-9]*"), key=lambda path: int(path.name))
    if what == "unsigned":
        before = (log / heads.FILE).read_bytes()
        house.happen(600)
        house.log()
        house.leave()
        (log / heads.FILE).write_bytes(before)  # all but the head had come to the disk, up to some byte
        newest = max((log / "tile/entries").iterdir())
        newest.write_bytes(newest.read_bytes()[: figure or None])
        return House(house.store)
    house.leave()
    if what == "torn head":
        torn = log / heads.FILE
        whole = torn.read_bytes()
        last = whole.rfind(b"station/", 0, whole.rfind("\n\n— ".encode()))
        torn.write_bytes(whole[: max(last, len(whole) - figure)])
    elif what == "tile lost":
        lose_growing(log, figure)
    elif figure:
        lose_growing(log, 0)
    if what == "key lost":
        (house.custody / "key").unlink()
    elif what == "log lost":
        log.rename(house.store / f"lost.{log.name}")
    elif what == "catalog lost":
        (house.store / "catalog").rename(house.store / f"catalog.{log.name}")
    elif what == "catalog rebuilt":
        (house.store / "catalog").rename(house.store / f"rebuilt.{len(list(house.store.iterdir()))}")
        rebuild_store(house.store, STATION)
    return House(house.store)


def lose_growing(log: Path, level: int) -> None:
    """Nobody waits for these to come to the disk."""
    for tile in (log / "tile" / str(level)).glob("*"):
        if tile.stat().st_size < 8192:
            tile.unlink()


@settings(deadline=None, max_examples=25)
@given(lives)
def test_no_honest_history_is_accused(life: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        try:
            for what, figure in life:
                house = suffer(house, what, figure)
            house.log()
            accused = [
                finding
                for finding in audit(house.store, Looked(), LATER)
                if finding.key != "log-missing" or ("log lost", 0) not in life
            ]
            assert accused == []
            assert not {"log-damaged", "log-differs", "log-ahead", "log-failed"} & set(house.problems())
        finally:
            house.leave()
