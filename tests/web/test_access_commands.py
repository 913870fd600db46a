"""`recorder-station account` and `token`, against a station that runs and against none."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli import app
from agent.errors import Reject
from tests.web.station import Station

ROOT = Path(__file__).parents[2]
PASSWORD = "四季青 riverbank"
Command = Callable[..., Result]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "station.yaml"
    file.write_text(f"station: {{language: en}}\nweb: {{socket: {tmp_path}/run/agent.sock}}\n")
    monkeypatch.setenv("RECORDER_STATION_CONFIG", str(file))
    monkeypatch.setenv("COLUMNS", "200")
    return file


@pytest.fixture
def command(configured: Path) -> Command:
    def run(*args: str, said: str | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=said)

    return run


def test_an_account_is_made_given_a_password_and_removed(station: Station, command: Command) -> None:
    made = command("account", "set", "王五", "--role", "custodian", "--unit", "一中队", "--unit", "二中队")
    assert made.exit_code == 0
    assert "account password 王五" in made.stdout
    assert "no password yet" in command("account", "list").stdout
    assert command("account", "password", "王五", said=PASSWORD + "\n").exit_code == 0
    assert station.access.login("王五", PASSWORD, "")[1].units == {"一中队", "二中队"}
    shown = command("account", "list").stdout
    for part in ("王五", "custodian", "一中队, 二中队", "possible"):
        assert part in shown
    assert "password is as before" in command("account", "set", "王五", "--role", "inspector").stdout
    assert command("account", "remove", "王五").exit_code == 0
    assert command("account", "list").stdout == "There are no accounts.\n"


def test_accounts_as_json_are_whole(station: Station, command: Command) -> None:
    command("account", "set", "li", "--role", "officer", "--officer", "000123")
    command("account", "set", "wang", "--role", "reviewer", "--all-units")
    assert json.loads(command("account", "list", "--json").stdout) == [
        {"account": "li", "role": "officer", "units": [], "officer": "000123", "password": False},
        {"account": "wang", "role": "reviewer", "units": "all", "officer": "", "password": False},
    ]
    assert "全部单位" in command("account", "list", "--lang", "zh").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "wаng", "--role", "inspector"), "name"),
        (("set", "wang", "--role", "reviewer"), "units"),
        (("set", "wang", "--role", "inspector", "--all-units"), "units"),
        (("set", "wang", "--role", "officer"), "officer"),
        (("remove", "nobody"), "no account nobody"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    station: Station, command: Command, arguments: tuple[str, ...], told: str
) -> None:
    done = command("account", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


def test_wrong_usage_is_told_apart(station: Station, command: Command) -> None:
    assert command("account", "set", "wang", "--role", "king").exit_code == 2
    both = command("account", "set", "wang", "--role", "reviewer", "--all-units", "--unit", "a")
    assert both.exit_code == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("short\n", "at least 10"),
        ("", "at least 10"),
        ("wang1234567\n", "account's name"),
        ("password123\n", "knows"),
    ],
)
def test_a_bad_password_is_refused(station: Station, command: Command, said: str, told: str) -> None:
    command("account", "set", "wang", "--role", "inspector")
    done = command("account", "password", "wang", said=said)
    assert done.exit_code == 1
    assert told in done.stderr
    with pytest.raises(Reject, match="login-failed"):
        station.access.login("wang", said.strip(), "")


def test_a_password_is_in_no_journal_and_in_no_answer(
    station: Station, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    command("account", "set", "wang", "--role", "inspector")
    done = command("account", "password", "wang", said=PASSWORD)
    assert "account-password" in caplog.text
    for text in (caplog.text, done.output):
        assert PASSWORD not in text


def typed(configured: Path, *lines: str) -> tuple[int, str]:
    """What a terminal shows of `account password wang`, and how it ended."""
    arguments = [sys.executable, "-c", "from agent.cli import main; main()", "account", "password", "wang"]
    own, terminal = pty.openpty()
    with subprocess.Popen(arguments, stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT) as asking:
        os.close(terminal)
        shown = b""
        for prompt, line in zip((b"Password: ", b"Once more: "), lines, strict=True):
            while prompt not in shown:
                shown += os.read(own, 1024)
            os.write(own, line.encode() + b"\n")
        try:
            while piece := os.read(own, 1024):
                shown += piece
        except OSError:  # the other end is closed
            pass
        code = asking.wait(30)
    os.close(own)
    return code, shown.decode()


def test_at_a_terminal_it_is_asked_for_twice_and_never_shown(
    station: Station, command: Command, configured: Path
) -> None:
    command("account", "set", "wang", "--role", "inspector")
    code, shown = typed(configured, PASSWORD, PASSWORD + "x")
    assert code == 1
    assert "differ" in shown
    code, shown = typed(configured, PASSWORD, PASSWORD)
    assert code == 0, shown
    assert PASSWORD not in shown
    assert station.access.login("wang", PASSWORD, "")


def test_a_token_is_shown_once_and_works_until_it_is_revoked(station: Station, command: Command) -> None:
    made = command("token", "make", "prometheus", "--expires", "2099-12-31")
    secret = made.stdout.strip()
    assert station.access.token(secret)
    assert "cannot be shown again" in made.stderr
    shown = command("token", "list").stdout
    assert all(part in shown for part in ("prometheus", "2099-12-31", "valid"))
    assert secret not in shown
    [row] = json.loads(command("token", "list", "--json").stdout)
    assert (row["token"], row["state"]) == ("prometheus", "valid")
    assert command("token", "make", "prometheus").exit_code == 1
    assert command("token", "revoke", "prometheus").exit_code == 0
    assert station.access.token(secret) is None
    assert command("token", "list").stdout == "There are no tokens.\n"


def test_a_token_for_a_program(station: Station, command: Command, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    made = json.loads(command("token", "make", "zabbix", "--json").stdout)
    assert (made["token"], made["expires"]) == ("zabbix", None)
    assert station.access.token(made["secret"])
    assert "for ever" in command("token", "list").stdout
    assert made["secret"] not in caplog.text
    assert command("token", "make", "x", "--expires", "soon").exit_code == 2
    assert command("token", "make", "x", "--expires", "2001-01-01").exit_code == 1
    assert command("token", "revoke", "x").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "list"),
        ("account", "set", "wang", "--role", "inspector"),
        ("account", "password", "wang"),
        ("token", "list"),
        ("token", "make", "m"),
    ],
)
def test_without_an_agent_it_says_so(command: Command, arguments: tuple[str, ...]) -> None:
    assert command(*arguments, said=PASSWORD).exit_code == 3
