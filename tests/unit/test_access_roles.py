"""Who may do what: the whole table, and whom names and recordings concern."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access.roles import (
    MACHINE,
    RIGHTS,
    Caller,
    How,
    Right,
    Role,
    concerns,
    kiosk,
    local,
    machine,
    may,
    sees,
)

#: As docs/access.md shows it: y, or nothing.
TABLE = """
                officer  custodian  reviewer  inspector  administrator  machine  kiosk
see-status      y        y          y         y          y              y        y
see-names       y        y          y         y          .              .        y
see-clips       y        y          y         y          y              .        .
see-footage     .        y          y         y          .              .        .
label           .        y          .         .          .              .        .
hold            .        y          .         .          .              .        .
collect         .        y          .         .          y              .        .
acknowledge     .        y          .         .          y              .        .
see-settings    .        .          .         y          y              .        .
see-logs        .        y          .         y          y              .        .
manage-access   .        .          .         .          y              .        .
scrape          .        .          .         y          y              y        y
"""
CHANGES = {Right.LABEL, Right.HOLD, Right.COLLECT, Right.ACKNOWLEDGE, Right.MANAGE_ACCESS}


def caller(role: Role, *units: str, officer: str = "") -> Caller:
    return Caller("wang", role, RIGHTS[role], frozenset(units), officer)


def table() -> dict[tuple[str, str], bool]:
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(who, row[0]): cell == "y" for row in rows for who, cell in zip(head, row[1:], strict=True)}


CALLERS = {**{str(role): caller(role) for role in Role}, "machine": machine("m"), "kiosk": kiosk()}


@pytest.mark.parametrize(("who", "right"), list(itertools.product(CALLERS, Right)))
def test_each_role_may_what_the_table_says_and_nothing_else(who: str, right: Right) -> None:
    assert may(CALLERS[who], right) is table()[who, right]


def test_the_table_speaks_of_every_role_and_every_right() -> None:
    assert set(table()) == set(itertools.product(CALLERS, Right))
    assert local(7).rights == set(Right)


def test_who_looks_changes_nothing_and_who_keeps_the_machine_sees_nobody() -> None:
    for role in (Role.OFFICER, Role.REVIEWER, Role.INSPECTOR):
        assert not RIGHTS[role] & CHANGES
    assert not RIGHTS[Role.ADMINISTRATOR] & {Right.SEE_FOOTAGE, Right.SEE_NAMES}
    assert not MACHINE & CHANGES


def test_an_officer_sees_his_own_alone_however_his_number_is_spelt() -> None:
    wang = caller(Role.OFFICER, officer="a00123")
    for number, unit in itertools.product(("A00123", " a00123 "), ("一中队", "")):
        assert concerns(wang, unit, number)
        assert sees(wang, unit, number)
    for number in ("A00124", "", "A0012"):
        assert not concerns(wang, "一中队", number)
        assert not sees(wang, "一中队", number)


def test_an_officer_without_a_number_sees_not_even_what_is_nobodys() -> None:
    assert not sees(caller(Role.OFFICER), "", "")
    assert not concerns(caller(Role.OFFICER), "", "")


@pytest.mark.parametrize("role", [Role.CUSTODIAN, Role.REVIEWER])
def test_who_is_bound_to_units_sees_these_and_not_what_is_of_none(role: Role) -> None:
    bound, free = caller(role, "一中队", "二中队"), caller(role)
    assert [sees(bound, unit, "1") for unit in ("一中队", "二中队", "三中队", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert [concerns(bound, unit, "1") for unit in ("一中队", "三中队", "")] == [True, False, False]
    assert all(sees(free, unit, "") and concerns(free, unit, "") for unit in ("一中队", ""))


def test_an_administrator_sees_rows_with_names_masked_and_an_inspector_all() -> None:
    assert sees(CALLERS["administrator"], "一中队", "1")
    assert not concerns(CALLERS["administrator"], "一中队", "1")
    assert sees(CALLERS["inspector"], "", "")
    assert concerns(CALLERS["inspector"], "", "")


@given(st.text(), st.text())
def test_a_machine_is_told_of_nobody_and_the_kiosk_of_no_clip(unit: str, officer: str) -> None:
    assert not sees(machine("m"), unit, officer)
    assert not concerns(machine("m"), unit, officer)
    assert not sees(kiosk(), unit, officer)
    assert concerns(kiosk(), unit, officer)
    assert sees(local(0), unit, officer)


@given(st.sampled_from(sorted(CALLERS)), st.text(), st.text())
def test_whose_name_may_be_read_may_be_seen(who: str, unit: str, officer: str) -> None:
    if concerns(CALLERS[who], unit, officer) and may(CALLERS[who], Right.SEE_CLIPS):
        assert sees(CALLERS[who], unit, officer)


def test_no_caller_is_called_as_another() -> None:
    told = [caller(Role.OFFICER).who, machine("wang").who, local(7).who, kiosk().who]
    assert told == ["wang", "token wang", "uid 7", "kiosk"]
    assert [one.how for one in (machine("m"), local(7), kiosk())] == [How.TOKEN, How.SOCKET, How.KIOSK]
