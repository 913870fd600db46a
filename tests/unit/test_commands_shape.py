"""What programs and shells rely on: JSON from every command that tells something, exit codes, completion."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from agent.cli import app
from tests.unit.test_status_docs import TEXT, real

#: These print something else than sentences: a request in PEM, a receipt, a schema, or run for good.
_NO_JSON = {"certificate request", "receipt", "config schema", "run"}
_BASH = """
source {script}
complete -p recorder-station > /dev/null || exit 9
COMP_WORDS=(recorder-station {words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_recorder_station_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_every_command_that_tells_something_tells_it_to_programs_too() -> None:
    commands = dict(real(typer.main.get_command(app)))
    groups = {name for name in commands if any(other.startswith(f"{name} ") for other in commands)}
    without = {name for name, options in commands.items() if name and "--json" not in options}
    assert without - groups == _NO_JSON


def test_the_documented_exit_codes_are_the_real_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TEXT[TEXT.index("| exit code |") :].split("\n\n")[0]
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(f"web: {{socket: {tmp_path}/none.sock}}\n")
    bad.write_text("nonsense: 1\n")
    ran = [
        ["config", "check", "--config", str(good)],
        ["config", "check", "--config", str(bad)],
        ["config", "nonsense"],
        ["status", "--config", str(good)],
    ]
    assert [CliRunner().invoke(app, arguments).exit_code for arguments in ran] == documented == [0, 1, 2, 3]


def test_the_configuration_is_told_to_programs(tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("station: {name: one, language: en}\n")

    def said(*arguments: str) -> object:
        return json.loads(CliRunner().invoke(app, ["config", *arguments, "--config", str(station)]).stdout)

    assert said("check", "--json") == {"faults": [], "files": [str(station)]}
    assert said("show", "--changed", "--json") == {"station": {"name": "one", "language": "en"}}
    station.write_text("nonsense: 1\n")
    assert "nonsense" in str(said("check", "--json"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`recorder-station`, as it is installed."""
    folder = tmp_path_factory.mktemp("bin")
    made = folder / "recorder-station"
    root = Path(__file__).parents[2]
    made.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        "from agent.cli import main\nif __name__ == '__main__':\n    main()\n"
    )
    made.chmod(0o755)
    return made


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sup", {"support-bundle"}),
        ("target acc", {"accept"}),
        ("doctor --js", {"--json"}),
    ],
)
def test_a_real_bash_completes_commands_and_options(
    program: Path, tmp_path: Path, typed: str, offered: set[str]
) -> None:
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # As `--show-completion` prints it, which looks at the shell that it runs in.
    shown = subprocess.run(
        ["bash", "-c", "recorder-station --show-completion; exit $?"],
        env=path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    script = tmp_path / "completion"
    script.write_text(shown.stdout)
    asked = _BASH.format(script=script, words=typed, program=program)
    done = subprocess.run(["bash", "-c", asked], env=path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered, done.stderr
