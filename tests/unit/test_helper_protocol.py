"""What the helper is asked is taken only as a whole, and whatever else it is sent does nothing."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.privileged import protocol, server
from agent.privileged.client import Helper
from agent.privileged.find import Volume
from agent.privileged.protocol import LONGEST, MOST_FILES, Refused, parse
from agent.privileged.server import Server
from agent.privileged.verbs import Doomed, Fate, Lent, Owner

PATIENCE = 20.0
FILE = {"path": "DCIM/a.mp4", "size": 5, "mtime_ns": -1}
REQUESTS: list[dict[str, Any]] = [
    {"verb": "mount", "port": "pci-0000:00:03.0-usb-0:3.2", "lun": 0, "partition": 1, "diskseq": 42},
    {"verb": "unmount", "mount": "sdb1-42-1"},
    {"verb": "mounted"},
    {"verb": "erase", "mount": "sdb1-42-1", "files": [FILE, {**FILE, "path": "\udcff.mp4"}]},
    {"verb": "disconnect", "port": "p"},
    {"verb": "authorise", "port": "p"},
]
VERBS = [request["verb"] for request in REQUESTS]
each_request = pytest.mark.parametrize("request_", REQUESTS, ids=VERBS)


class Spy:
    """Does nothing, and keeps account of it. Verbs that are `stuck` end when it may `go_on`."""

    def __init__(self) -> None:
        self.folder = Path("/run/mounts")
        self.called: list[str] = []
        self.go_on = threading.Event()
        self.stuck: set[str] = set()
        self.failure: Exception | None = None

    def _do(self, verb: str, *said: object) -> None:
        self.called.append(verb)
        if verb in self.stuck:
            self.go_on.wait(PATIENCE)
        if self.failure:
            raise self.failure

    def mount(self, volume: Volume, owner: Owner) -> Lent:
        self._do("mount")
        return Lent(self.folder / "m", frozenset({"lost+found"}))

    def unmount(self, mount: Path) -> None:
        assert mount.parent == self.folder
        self._do("unmount")

    def mounted(self) -> list[Path]:
        self._do("mounted")
        return [self.folder / "m"]

    def erase(self, mount: Path, files: Sequence[Doomed], owner: Owner) -> list[Fate]:
        self._do("erase")
        return [Fate(file.path, "erased") for file in files]

    def disconnect(self, port: str) -> Path | None:
        self._do("disconnect")
        return Path("/sys/usb")

    def authorise(self, port: str) -> None:
        self._do("authorise")


class House:
    def __init__(self, path: Path, spy: Spy, served: Server) -> None:
        self.path, self.spy, self.served = path, spy, served

    def send(self, content: bytes) -> list[dict[str, Any]]:
        """Everything that is answered until the helper hangs up, or has nothing more to say."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.path))
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it hung up already
            with connection.makefile("rb") as answers:
                try:
                    return [json.loads(line) for line in answers]
                except ConnectionResetError:
                    return []

    @property
    def helper(self) -> Helper:
        return Helper(self.path)


@contextmanager
def serving(folder: Path, user: int | None = None, **tuned: float) -> Iterator[House]:
    spy = Spy()
    served = Server(spy, Owner(os.getuid() if user is None else user, 0), **tuned)  # type: ignore[arg-type]
    path = folder / "helper.sock"
    with server.bound(path) as listener:
        thread = threading.Thread(target=served.run, args=(listener,))
        thread.start()
        try:
            yield House(path, spy, served)
        finally:
            spy.go_on.set()
            served.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive() and served.finish(PATIENCE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving(tmp_path_factory.mktemp("helper")) as made:
        yield made


@pytest.fixture
def spy(house: House) -> Iterator[Spy]:
    house.spy.called.clear()
    yield house.spy
    house.spy.failure = None


def test_every_verb_is_answered(house: House, spy: Spy) -> None:
    helper = house.helper
    volume = Volume("p", 0, 1, 42)
    assert helper.mount(volume) == Lent(spy.folder / "m", frozenset({"lost+found"}))
    assert helper.mounted() == [spy.folder / "m"]
    names = ["a.mp4", os.fsdecode(b"\xff\n\x01"), "执法"]
    assert helper.erase(spy.folder / "m", [Doomed(name, 1, 2) for name in names]) == [
        Fate(name, "erased") for name in names
    ]
    helper.unmount(spy.folder / "m")
    assert helper.disconnect("p") == Path("/sys/usb")
    helper.authorise("p")
    assert spy.called == ["mount", "mounted", "erase", "unmount", "disconnect", "authorise"]


def test_there_are_no_other_verbs(house: House, spy: Spy) -> None:
    assert set(protocol.VERBS) == set(VERBS)
    others: list[Any] = ["umount", "exec", "__class__", "recover", "block_at", "", "MOUNT", None, 1, [], {}]
    for verb in others:
        (answer,) = house.send(protocol.encode({"verb": verb}))
        assert answer["errno"] == 22 and "no such verb" in answer["error"]
    assert spy.called == []


@each_request
def test_a_request_with_a_key_more_or_less_is_refused(request_: dict[str, Any]) -> None:
    parse(protocol.encode(request_))
    with pytest.raises(Refused):
        parse(protocol.encode({**request_, "device": "/dev/sda"}))
    for missing in request_:
        with pytest.raises(Refused):
            parse(protocol.encode({key: value for key, value in request_.items() if key != missing}))


WRONG: list[Any] = [None, True, False, -1 - (1 << 63), 1 << 63, 1.5, float("nan"), [], {}, [FILE, FILE]]
WRONG += ["", "x" * 300, "a b", "\0", "é"]


@each_request
def test_a_value_of_another_type_or_beyond_its_bounds_is_refused(request_: dict[str, Any]) -> None:
    for key in request_.keys() - {"verb"}:
        for wrong in WRONG:
            with pytest.raises(Refused):
                parse(protocol.encode({**request_, key: wrong}))


@pytest.mark.parametrize("name", ["/etc", "..", ".", "a/b", "../x", ".erase", "-rf", "a\n", "a" * 101, "é"])
def test_a_mount_is_one_plain_name(name: str) -> None:
    for request in (REQUESTS[1], REQUESTS[3]):
        with pytest.raises(Refused):
            parse(protocol.encode({**request, "mount": name}))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "", "a\0b", "/", "../../dev/sda", "\ud800"]
)
def test_a_path_to_erase_lies_below_the_recorder(path: str) -> None:
    with pytest.raises(Refused):
        parse(protocol.encode({**REQUESTS[3], "files": [{**FILE, "path": path}]}))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [FILE] * 2,
        [{**FILE, "path": str(n)} for n in range(MOST_FILES + 1)],
        [{**FILE, "size": -1}],
        [{**FILE, "size": True}],
        [{**FILE, "mtime_ns": 1.0}],
        [{**FILE, "mode": 0}],
        [{"path": "a"}],
        ["a"],
        "a",
        {"0": FILE},
    ],
)
def test_a_list_to_erase_is_exact(files: Any) -> None:
    with pytest.raises(Refused):
        parse(protocol.encode({**REQUESTS[3], "files": files}))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe",
        b"\0" * 100,
        b"[" * 100_000,
        b'{"verb":"mounted","verb":"mounted"}',
        b'{"verb":"disconnect","port":' + b"9" * 10_000 + b"}",
        b'{"verb":"mounted"} {"verb":"mounted"}',
    ],
    ids=lambda line: line[:30],
)
def test_what_is_no_request_is_refused(house: House, spy: Spy, line: bytes) -> None:
    answers = house.send(line + b"\n")
    assert answers and all("error" in answer for answer in answers)
    assert spy.called == []
    assert house.helper.mounted()


def test_a_request_without_end_is_cut_off(house: House, spy: Spy) -> None:
    answers = house.send(b'{"verb":"mounted",' + b" " * (LONGEST + 1))
    assert answers in ([], [{"errno": 22, "error": "the request is too long"}])
    assert spy.called == []
    assert house.helper.mounted()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid request with a value, a key or some bytes of it changed."""
    request = dict(draw(st.sampled_from(REQUESTS)))
    how = draw(st.sampled_from(["value", "key", "bytes", "cut"]))
    if how == "value":
        request[draw(st.sampled_from(sorted(request)))] = draw(json_values)
    elif how == "key":
        request[draw(st.text(max_size=8))] = draw(json_values)
    line = bytearray(protocol.encode(request)[:-1])
    if how == "bytes":
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    elif how == "cut":
        del line[draw(st.integers(0, len(line))) :]
    return bytes(line).replace(b"\n", b" ")


fuzzing = hypothesis_settings(
    max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@fuzzing
@given(st.one_of(st.binary(max_size=200), json_values.map(lambda v: json.dumps(v).encode()), mutated()))
def test_whatever_it_is_sent_the_helper_does_nothing_that_it_was_not_asked_and_lives(
    house: House, spy: Spy, content: bytes
) -> None:
    spy.called.clear()
    answers = house.send(content + b"\n")
    lines = (content + b"\n").split(b"\n")[:-1]
    asked = [verb for line in lines if (verb := understood(line))]
    assert spy.called == asked
    assert len(answers) == len(lines)
    assert [("ok" in answer) for answer in answers] == [bool(understood(line)) for line in lines]


def understood(line: bytes) -> str:
    """By what the protocol says a request is, in other words than its own."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict) or said.keys() not in [r.keys() for r in REQUESTS]:
        return ""
    for request in REQUESTS:
        if said.get("verb") == request["verb"] and said.keys() == request.keys():
            same = all(type(said[key]) is type(request[key]) for key in request)
            return request["verb"] if same and fits(said, line) else ""
    return ""


def fits(said: dict[str, Any], line: bytes) -> bool:
    try:
        parse(line)
    except Refused:
        return False
    numbers = [said[key] for key in ("lun", "partition", "diskseq") if key in said]
    assert all(number >= 0 for number in numbers)
    assert "/" not in said.get("mount", "") and not said.get("mount", "x").startswith(".")
    assert all(".." not in file["path"].split("/") for file in said.get("files", []))
    return True


def test_a_stranger_is_refused_before_he_asks_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path, user=54321) as house:
        tmp_path.chmod(0o755)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.chdir(tmp_path)  # first: the folders above may be closed to him
                if os.getuid() == 0:
                    os.setresuid(54322, 54322, 54322)
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(house.path.name)
                    os.write(writer, connection.recv(4096))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            assert json.loads(answer.read()) == {"errno": 13, "error": "this user may not call the helper"}
        assert house.spy.called == []
        assert "a stranger, refused" in caplog.text


def test_a_verb_that_is_stuck_holds_up_no_other(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        house.spy.stuck = {"mount"}
        threads = [
            threading.Thread(target=house.helper.mount, args=(Volume(str(n), 0, 0, 1),)) for n in range(33)
        ]
        for thread in threads:
            thread.start()
        while house.spy.called.count("mount") < 33:
            time.sleep(0.01)
        assert house.helper.disconnect("p") == Path("/sys/usb")
        house.spy.go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_beyond_its_bound_connections_are_refused_and_the_others_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST", 2)
    with serving(tmp_path) as house:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for each in idle:
            each.connect(str(house.path))
        with pytest.raises(OSError):
            house.helper.mounted()
        idle[0].close()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                assert house.helper.mounted()
                break
            except OSError:
                assert time.monotonic() < end
        idle[1].close()


def test_who_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    with serving(tmp_path, silence=0.1) as house, socket.socket(socket.AF_UNIX) as quiet:
        quiet.settimeout(PATIENCE)
        quiet.connect(str(house.path))
        quiet.sendall(b'{"verb":')
        assert quiet.recv(100) == b""
        assert house.spy.called == []


def test_the_helper_ends_when_nobody_calls(tmp_path: Path) -> None:
    spy = Spy()
    served = Server(spy, Owner(os.getuid(), 0), idle=0.2)  # type: ignore[arg-type]
    with server.bound(tmp_path / "s") as listener:
        thread = threading.Thread(target=served.run, args=(listener,))
        thread.start()
        Helper(tmp_path / "s").mounted()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_it_does_not_end_while_a_verb_is_under_way(tmp_path: Path) -> None:
    with serving(tmp_path, idle=0.1) as house:
        house.spy.stuck = {"erase"}
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(house.helper.erase(Path("/m/x"), [Doomed("a", 1, 1)]))
        )
        thread.start()
        while not house.spy.called:
            time.sleep(0.01)
        assert not house.served.finish(0.5)
        house.spy.go_on.set()
        thread.join(PATIENCE)
        assert answers == [[Fate("a", "erased")]]


@pytest.mark.parametrize(
    "failure", [OSError(16, "busy"), ValueError("a bug"), OSError("no number")], ids=repr
)
def test_a_verb_that_fails_is_told_and_the_helper_lives(house: House, spy: Spy, failure: Exception) -> None:
    spy.failure = failure
    with pytest.raises(OSError) as told:
        house.helper.mounted()
    assert told.value.errno == (getattr(failure, "errno", None) or 5)
    spy.failure = None
    assert house.helper.mounted()


def test_every_call_is_one_line_of_the_log(house: House, spy: Spy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    house.helper.mount(Volume("pci-0000:00:03.0-usb-0:3.2", 0, 1, 42))
    spy.failure = OSError(5, "evil\nname\x1b[31m")
    with pytest.raises(OSError):
        house.helper.unmount(spy.folder / "sdb1-42-1")
    house.send(b'{"verb":"mounted\\n"}\n')
    caller = f"uid={os.getuid()} pid={os.getpid()}"
    lines = [record.getMessage() for record in caplog.records if "uid=" in record.getMessage()]
    assert [line.partition(" (")[0] for line in lines] == [
        f"{caller} mount pci-0000:00:03.0-usb-0:3.2: /run/mounts/m",
        f"{caller} unmount sdb1-42-1: failed: [Errno 5] evil\\nname\\x1b[31m",
        f"{caller} ? -: refused: there is no such verb",
    ]


def test_a_helper_that_ends_in_the_middle_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(b'{"ok":{"pa')
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(OSError, match="ended in the middle"):
            Helper(tmp_path / "s").mounted()
        thread.join(PATIENCE)


def test_a_helper_that_is_not_there_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not answer"):
        Helper(tmp_path / "none").mounted()


def test_systemds_socket_is_taken_only_when_it_is_meant_for_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, other = socket.socketpair()
    monkeypatch.setattr(server, "_FIRST_FD", own.fileno())
    mine = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    for wrong in ({}, {**mine, "LISTEN_PID": "1"}, {**mine, "LISTEN_FDS": "2"}):
        assert server.passed_by_systemd(wrong) is None
    taken = server.passed_by_systemd(mine)
    assert taken is not None and taken.fileno() == own.detach()
    assert not os.get_inheritable(taken.fileno())
    taken.close()
    other.close()


def test_a_user_is_a_name_or_numbers() -> None:
    assert server.owner_of("54321:54322") == Owner(54321, 54322)
    assert server.owner_of("root") == Owner(0, 0)
    for wrong in ("no-such-user-here", "1:2:3", "a:b", ""):
        with pytest.raises((KeyError, ValueError)):
            server.owner_of(wrong)
