"""Keys come from a file that is closed to others, and go nowhere else."""

from pathlib import Path

import pytest

from agent.errors import AuthFailed
from agent.upload import credentials

SECRET = "do-not-show-this/+=x"
GOOD = f"[default]\naws_access_key_id = station-07\naws_secret_access_key = {SECRET}\n"


def laid(path: Path, text: str = GOOD, mode: int = 0o640) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def failure(path: str | Path) -> AuthFailed:
    with pytest.raises(AuthFailed) as raised:
        credentials.of(str(path))()
    assert SECRET not in f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"
    return raised.value


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, "# ours\n" + GOOD + "region = x\n"]
)
def test_the_keys_are_read_as_the_aws_tools_write_them(tmp_path: Path, text: str) -> None:
    found = credentials.of(str(laid(tmp_path / "keys", text)))()
    assert (found.key, found.secret) == ("station-07", SECRET)


def test_new_keys_need_no_restart(tmp_path: Path) -> None:
    give = credentials.of(str(laid(tmp_path / "keys")))
    assert give().key == "station-07"
    laid(tmp_path / "keys", GOOD.replace("07", "08"))
    assert give().key == "station-08"


@pytest.mark.parametrize("mode", [0o644, 0o646, 0o660, 0o604, 0o777])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    error = failure(laid(tmp_path / "keys", mode=mode))
    assert (error.key, error.params["mode"]) == ("credentials-open", f"{mode:04o}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"[other]\naws_secret_access_key = {SECRET}\n",
        f"[default]\naws_secret_access_key = {SECRET}\n",
        f"[default]\n{SECRET}\n",
        f"[default]\naws_secret_access_key = {SECRET}\naws_secret_access_key = {SECRET}\n",
    ],
)
def test_a_file_without_keys_is_told_without_showing_it(tmp_path: Path, text: str) -> None:
    assert failure(laid(tmp_path / "keys", text)).key == "credentials-unusable"


@pytest.mark.parametrize("key", ["ключ", "two words", "tab\tin it", "é", ""])
def test_a_key_that_no_header_can_carry_is_told(tmp_path: Path, key: str) -> None:
    for line in ("aws_access_key_id = station-07", f"aws_secret_access_key = {SECRET}"):
        text = GOOD.replace(line, f"{line.partition('=')[0]}= {key}")
        assert failure(laid(tmp_path / "keys", text)).key == "credentials-odd"


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert failure(tmp_path / "none").key == "credentials-unreadable"
    assert failure(tmp_path).key == "credentials-unreadable"
    (tmp_path / "keys").write_bytes(b"\xff\xff")
    (tmp_path / "keys").chmod(0o600)
    assert failure(tmp_path / "keys").key == "credentials-unreadable"


def test_a_name_is_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert failure("centre").key == "credentials-unreadable"
    laid(tmp_path / "centre", mode=0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials.of("centre")().key == "station-07"
