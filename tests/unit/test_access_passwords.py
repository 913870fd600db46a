"""What is a password, what its hash tells, and what a guess costs."""

import hashlib
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access import names, passwords, tokens
from agent.errors import Reject

GOOD = "四季青 riverbank"


def why(password: str, name: str = "wang") -> str:
    with pytest.raises(Reject) as refused:
        passwords.check(password, name)
    assert refused.value.key == "bad-password"
    return str(refused.value.params["kind"])


def test_a_password_fits_its_own_hash_and_no_other_does() -> None:
    hashed = passwords.hashed(GOOD)
    assert passwords.fits(GOOD, hashed)
    assert not passwords.fits(GOOD + " ", hashed)
    assert not passwords.fits("", hashed)
    assert not passwords.fits(GOOD, None)
    assert not passwords.fits("", None)


def test_a_hash_tells_what_it_cost_and_no_two_are_the_same() -> None:
    one, other = passwords.hashed(GOOD), passwords.hashed(GOOD)
    assert one.startswith("scrypt$15$8$1$")
    assert one != other
    assert GOOD not in one


def test_a_hash_that_cost_less_or_more_is_understood() -> None:
    cheap = passwords._scrypt(GOOD, b"salt", (10, 8, 1))
    text = f"scrypt$10$8$1${passwords._text(b'salt')}${passwords._text(cheap)}"
    assert passwords.fits(GOOD, text)
    assert not passwords.fits(GOOD[:-1], text)


def test_the_same_letters_however_they_are_composed_are_the_same_password() -> None:
    assert passwords.fits(
        "cafe\u0301 am Fluss", passwords.hashed(passwords.check("caf\u00e9 am Fluss", "wang"))
    )


@pytest.mark.parametrize(
    ("password", "name", "kind"),
    [
        ("kurz12345", "wang", "short"),
        ("x1" * 101, "wang", "long"),
        ("a long one\t", "wang", "marks"),
        ("a long\u202eone here", "wang", "marks"),
        ("a long one\udcff", "wang", "marks"),
        ("wangwangwang", "wang", "name"),
        ("Wang123456", "wang", "name"),
        ("2026wang1234", "wang", "name"),
        ("zhang-xiaoming", "zhang-xiaoming", "name"),
        ("1234567890", "wang", "known"),
        ("PassWord123", "wang", "known"),
        ("Recorder-Station", "wang", "known"),
        ("zzzzzzzzzzzz", "wang", "known"),
    ],
)
def test_a_bad_password_is_refused_and_it_is_told_why(password: str, name: str, kind: str) -> None:
    assert why(password, name) == kind


def test_all_that_are_known_would_be_long_enough() -> None:
    known = passwords._KNOWN.split()
    assert len(known) == len(set(known)) > 50
    assert [one for one in known if len(one) < passwords.SHORTEST or one != one.casefold()] == []


@given(st.text(), st.sampled_from(["wang", "王五", "1"]))
def test_whatever_is_typed_is_taken_or_refused_in_words(password: str, name: str) -> None:
    try:
        taken = passwords.check(password, name)
    except Reject as error:
        assert error.key == "bad-password"
    else:
        assert 10 <= len(taken) <= 200


@pytest.mark.parametrize("password", ["\udcff" * 12, "x" * 100_000, "\0" * 12])
def test_whatever_is_typed_at_a_login_is_only_wrong(password: str) -> None:
    assert not passwords.fits(password, passwords.hashed(GOOD))


def test_a_name_that_nobody_has_costs_the_same_time() -> None:
    hashed = passwords.hashed(GOOD)

    def took(against: str | None) -> float:
        began = time.process_time()
        passwords.fits("guess of somebody", against)
        return time.process_time() - began

    known, unknown = (min(took(against) for _ in range(5)) for against in (hashed, None))
    assert known > 0.01  # it is dear
    assert 0.5 < known / unknown < 2


def test_one_is_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 32 MiB."""
    inside, most = [0], [0]
    real = hashlib.scrypt

    def counted(password: bytes, **more: Any) -> bytes:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return real(password, **more)
        finally:
            inside[0] -= 1

    monkeypatch.setattr("hashlib.scrypt", counted)
    threads = [threading.Thread(target=passwords.hashed, args=(GOOD,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("wang", "wang"),
        (" Wang ", "wang"),
        ("ＷＡＮＧ１", "wang1"),
        ("王五", "王五"),
        ("㐂一", "㐂一"),
        ("zhang.xiao-ming_2", "zhang.xiao-ming_2"),
        ("a" * 32, "a" * 32),
        ("7", "7"),
    ],
)
def test_a_name_has_one_spelling(text: str, name: str) -> None:
    assert names.spelt(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a" * 33,
        "x" * 100_000,
        "w\u0430ng",  # a Cyrillic letter
        "wang\u200b",
        "wa\u202eng",
        "wa ng",
        "wang\0",
        "-wang",
        "wang.",
        "<b>wang",
        "uid 0",
        "é",
        "w\u0301ang",
        "ω",
        "\udcff",
        "ｗａｎｇ　ｂ",
        "かな",
        "😀",
    ],
)
def test_what_may_look_as_another_name_is_none(text: str) -> None:
    assert names.spelt(text) == ""
    with pytest.raises(Reject, match="bad-parameter"):
        names.of(text)


@given(st.text())
def test_a_name_is_safe_wherever_it_is_shown(text: str) -> None:
    name = names.spelt(text)
    assert name == names.spelt(name)
    assert not set(name) & set(" <>&\"'/\\{}[]\u202e\n\0")
    assert len(name) <= names.LONGEST


def test_a_token_is_known_by_its_look_and_nothing_else_is_one() -> None:
    secret = tokens.make()
    assert secret.startswith("rst_")
    assert len(tokens.digest(secret) or b"") == 32
    for nonsense in (
        "",
        secret[:-1],
        secret + "a",
        secret + "\n",
        secret.upper(),
        secret[4:],
        "rst_" + "汉" * 43,
    ):
        assert tokens.digest(nonsense) is None
