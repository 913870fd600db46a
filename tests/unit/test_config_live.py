"""A running agent picks changes up: real files, a real inotify watch, no sleeping."""

import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import Config
from agent.config import live as live_module
from agent.config.live import AT_RESTART, LiveConfig
from agent.config.watch import FolderWatch, watched

GENEROUS = 30  # seconds; only a failing test waits for so long


class Watched:
    """A started LiveConfig, and a way to wait until it shows something."""

    def __init__(self, station: Path) -> None:
        self.live = LiveConfig(station)
        self._changed = threading.Condition()
        self.live.subscribe(self._notify)
        self.live.start()

    def _notify(self, _config: Config) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, holds: Callable[[LiveConfig], object]) -> LiveConfig:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.live), GENEROUS), self.live.faults
        return self.live

    def uploaders(self, number: int) -> LiveConfig:
        return self.until(lambda live: live.current.upload.uploaders == number and not live.faults)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc" / "station.yaml"


@pytest.fixture
def watch() -> Iterator[Callable[[Path], Watched]]:
    started: list[Watched] = []

    def start(station: Path) -> Watched:
        started.append(Watched(station))
        return started[-1]

    yield start
    for one in started:
        one.live.stop()
        assert not one.live.watching


def say(file: Path, uploaders: int) -> None:
    file.write_text(f"upload: {{uploaders: {uploaders}}}\n")


def test_a_changed_file_is_picked_up(station: Path, watch: Callable[[Path], Watched]) -> None:
    say(station, 1)
    running = watch(station)
    assert running.live.current.upload.uploaders == 1
    say(station, 3)
    running.uploaders(3)
    assert running.live.watching


def test_a_file_renamed_over_the_old_one_is_picked_up(
    station: Path, watch: Callable[[Path], Watched]
) -> None:
    say(station, 1)
    running = watch(station)
    for number in (3, 4):
        say(station.with_name("new"), number)
        station.with_name("new").rename(station)
        running.uploaders(number)


def test_a_file_that_appears_later_and_goes_again_is_picked_up(
    station: Path, watch: Callable[[Path], Watched]
) -> None:
    running = watch(station)
    say(station, 3)
    running.uploaders(3)
    station.unlink()
    running.uploaders(Config().upload.uploaders)


def test_folders_that_appear_later_are_picked_up(tmp_path: Path, watch: Callable[[Path], Watched]) -> None:
    station = tmp_path / "a" / "b" / "station.yaml"
    running = watch(station)
    station.parent.mkdir(parents=True)
    say(station, 3)
    running.uploaders(3)
    conf_d = station.parent / "conf.d"
    conf_d.mkdir()
    say(conf_d / "a.yaml", 4)
    running.uploaders(4)
    say(conf_d / "a.yaml", 1)
    running.uploaders(1)
    (conf_d / "a.yaml").unlink()
    running.uploaders(3)


def test_a_folder_replaced_as_a_whole_is_picked_up(station: Path, watch: Callable[[Path], Watched]) -> None:
    say(station, 1)
    running = watch(station)
    new = station.parent.with_name("new")
    new.mkdir()
    say(new / station.name, 3)
    station.parent.rename(station.parent.with_name("old"))
    new.rename(station.parent)
    running.uploaders(3)
    say(station, 4)
    running.uploaders(4)


def test_links_that_are_turned_and_their_ends_that_change_are_picked_up(
    station: Path, tmp_path: Path, watch: Callable[[Path], Watched]
) -> None:
    """As a mounted ConfigMap: station.yaml -> ..data/station.yaml, ..data -> ..version."""
    for number in (1, 3):
        version = station.parent / f"..{number}"
        version.mkdir()
        say(version / "station.yaml", number)
    (station.parent / "..data").symlink_to("..1")
    station.symlink_to("..data/station.yaml")
    running = watch(station)
    (station.parent / "..new").symlink_to("..3")
    (station.parent / "..new").rename(station.parent / "..data")
    running.uploaders(3)
    say(station.parent / "..3" / "station.yaml", 4)
    running.uploaders(4)


def test_a_faulty_file_keeps_the_last_good_configuration(
    station: Path, watch: Callable[[Path], Watched]
) -> None:
    say(station, 3)
    running = watch(station)
    (station.parent / "conf.d").mkdir()
    (station.parent / "conf.d" / "a.yaml").write_text("ingest: {copies: 9}\nuplaod: 1\n")
    live = running.until(lambda live: live.faults)
    assert live.faults == (f"{station.parent}/conf.d/a.yaml:2: `uplaod`: did you mean `upload`?",)
    assert live.current == LiveConfig(station.with_name("none.yaml")).current.model_copy(
        update={"upload": live.current.upload}
    )
    assert live.current.upload.uploaders == 3
    (station.parent / "conf.d" / "a.yaml").write_text("ingest: {copies: 9}\n")
    live = running.until(lambda live: not live.faults)
    assert live.current.ingest.copies == 9


def test_a_station_with_a_faulty_file_starts_with_the_defaults_and_recovers(
    station: Path, watch: Callable[[Path], Watched]
) -> None:
    station.write_text("upload: {uploaders: 3}\nstore: {path: /srv/x}\nnonsense: 1\n")
    running = watch(station)
    assert running.live.current == Config()
    assert len(running.live.faults) == 1
    station.write_text("upload: {uploaders: 3}\nstore: {path: /srv/x}\n")
    live = running.uploaders(3)
    assert live.restart_needed == ("store.path",)
    assert live.current.store.path == Config().store.path


def test_a_change_between_construction_and_start_is_not_lost(station: Path) -> None:
    live = LiveConfig(station)
    seen = threading.Event()
    live.subscribe(lambda config: seen.set())
    say(station, 3)
    live.start()
    assert seen.wait(GENEROUS)
    assert live.current.upload.uploaders == 3
    live.stop()


def test_keys_that_need_a_restart_keep_their_value_and_say_so(station: Path) -> None:
    live = LiveConfig(station)
    started_with = live.current
    station.write_text(
        "store: {path: /srv/x, reserve: 1 GiB}\n"
        "dock: {udev: false, tag: other, simulated_rack: /rack, mounts: /run/m, helper: /run/h,\n"
        "  stuck_after: 5 s, input_ports: {scanner: pci-0000:00:14.0-usb-0:4}}\n"
        "web: {listen: '[::1]:80', socket: /run/s, lan: '[::]:443', certificate: /c, certificate_key: /k}\n"
    )
    live.reload()
    assert set(live.restart_needed) == set(AT_RESTART)
    assert live.current.web == started_with.web
    assert live.current.store.path == started_with.store.path
    assert live.current.store.reserve == 1 << 30
    assert live.current.dock == started_with.dock.model_copy(update={"stuck_after": 5.0})
    station.unlink()
    live.reload()
    assert live.restart_needed == ()
    assert live.current == started_with


def test_subscribers_hear_of_changes_only(station: Path) -> None:
    live = LiveConfig(station)
    heard: list[int] = []
    live.subscribe(lambda config: heard.append(config.upload.uploaders))
    live.reload()
    say(station, 3)
    live.reload()
    live.reload()
    station.write_text("# a comment\nupload: {uploaders: 3}\n")
    live.reload()
    station.write_text("x: 1\n")
    live.reload()
    assert heard == [3, 3]  # the value, then the fault


def test_start_and_stop_leave_no_thread_and_no_descriptor(station: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = threading.active_count(), open_files()
    live = LiveConfig(station)
    for number in (1, 3):
        seen = threading.Event()
        live.subscribe(lambda config, seen=seen: seen.set())  # type: ignore[misc]
        live.start()
        say(station, number)
        assert seen.wait(GENEROUS)
        live.stop()
    assert (threading.active_count(), open_files()) == before


def test_a_watch_that_cannot_be_set_says_so_and_can_be_tried_again(station: Path) -> None:
    watch = FolderWatch(station, threading.Event())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        failure = watch.renew()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "limit reached" in failure
    assert not watch.alive
    assert watch.renew() == ""
    assert watch.alive
    watch.stop()


def test_reading_the_files_wakes_nobody(station: Path) -> None:
    """Else every reload would cause the next one."""
    from watchdog.events import FileClosedNoWriteEvent, FileOpenedEvent

    from agent.config.watch import _Handler

    dirty = threading.Event()
    handler = _Handler(watched(station), dirty)
    for event in (FileOpenedEvent, FileClosedNoWriteEvent):
        handler.dispatch(event(str(station)))
    assert not dirty.is_set()


def test_neighbours_of_the_file_are_not_watched(station: Path) -> None:
    from watchdog.events import DirModifiedEvent, FileDeletedEvent, FileModifiedEvent

    from agent.config.watch import _Handler

    dirty = threading.Event()
    handler = _Handler(watched(station), dirty)
    handler.dispatch(FileModifiedEvent(str(station.with_name(".station.yaml.swp"))))
    handler.dispatch(DirModifiedEvent(str(station.parent)))
    assert not dirty.is_set()
    handler.dispatch(FileDeletedEvent(str(station)))
    assert dirty.is_set()


def test_who_could_not_take_a_change_over_is_told_again(
    station: Path, watch: Callable[[Path], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_AGAIN", 0.01)
    told: list[int] = []
    enough = threading.Event()

    def reluctant(config: Config) -> None:
        told.append(config.upload.uploaders)
        if len(told) < 3:
            raise OSError("the disk is full")
        enough.set()

    running = watch(station)
    running.live.subscribe(reluctant)
    say(station, 3)
    assert enough.wait(GENEROUS)
    assert told == [3, 3, 3]
    assert running.live.watching
    say(station, 4)
    running.uploaders(4)


HEAD = "recorder,officer,unit\n"


def test_a_roster_is_picked_up_and_a_faulty_one_leaves_the_last_good_one(
    station: Path, watch: Callable[[Path], Watched]
) -> None:
    station.write_text("roster: lists/roster.csv\n")
    running = watch(station)
    running.until(lambda live: live.faults)
    assert "roster.csv:1: the roster cannot be read" in running.live.faults[0]
    assert running.live.roster is None
    file = station.parent / "lists/roster.csv"
    file.parent.mkdir()
    file.write_text(HEAD + "1,a,b\n")
    running.until(lambda live: live.roster and not live.faults)
    good = running.live.roster
    file.with_name("new").write_text(HEAD + "1,a,b\n1,a,c\n")
    file.with_name("new").rename(file)
    running.until(lambda live: live.faults)
    assert running.live.roster == good
    say(station, 3)  # without a roster; and the rest of the configuration is never held up by one
    running.uploaders(3)
    assert running.live.roster is not None
    assert running.live.roster.lines == ()


def test_a_fault_in_the_roster_holds_up_no_other_key(station: Path, watch: Callable[[Path], Watched]) -> None:
    station.with_name("roster.csv").write_text("nothing\n")
    station.write_text("roster: roster.csv\nupload: {uploaders: 4}\n")
    running = watch(station)
    assert running.live.current.upload.uploaders == 4
    assert running.live.faults
    assert not running.live.faulty
    station.with_name("roster.csv").write_text(HEAD + "1,a,b\n")
    running.until(lambda live: live.roster and not live.faults)
