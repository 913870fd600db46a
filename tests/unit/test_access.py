"""From a name and a password, or a token, to who it is; and what the catalog and its events keep of it."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.access import Access, Caller, Right, Role, may
from agent.access.lockout import REFUSED, WRONG_FOR_A_NAME, WRONG_FROM_AN_ADDRESS
from agent.access.roles import How
from agent.access.sessions import IDLE
from agent.catalog import Catalog, accounts
from agent.catalog.accounts import Account
from agent.clock import Stamp
from agent.errors import Reject

PASSWORD, OTHER, HERE = "四季青 riverbank", "another riverbank", "10.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    def __init__(self, root: Path) -> None:
        self.catalog, self.clock = Catalog.open(root / "catalog.db"), Clock()
        self.access = Access(self.catalog, self.clock)

    def say(self, command: str, who: str = "uid 0", **arguments: str) -> Mapping[str, Any]:
        return self.access.commands()[command](arguments, who)

    def admit(self, name: str = "wang", role: str = "inspector", **more: str) -> None:
        self.say("account-set", name=name, role=role, **more)
        self.say("account-password", name=name, password=PASSWORD)

    def login(self, name: str = "wang", password: str = PASSWORD, address: str = HERE) -> tuple[str, Caller]:
        return self.access.login(name, password, address)

    def guess(self, times: int, name: str = "wang", address: str = HERE) -> list[str]:
        return [_key(lambda: self.login(name, "guess of somebody", address)) for _ in range(times)]

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = self.catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row[0]) for row in rows.fetchall()]


def _key(work: Callable[[], object]) -> str:
    try:
        work()
    except Reject as error:
        return error.key
    return ""


@contextmanager
def refused(key: str, **params: object) -> Iterator[None]:
    with pytest.raises(Reject) as error:
        yield
    assert error.value.key == key
    assert params.items() <= error.value.params.items()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    with closing(made.catalog):
        yield made


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tests that guess often: what a hash costs is tested elsewhere."""
    monkeypatch.setattr("agent.access.passwords._COST", (4, 8, 1))


def test_who_logs_in_is_known_by_the_session_until_logging_out(house: House) -> None:
    house.admit("王五", "custodian", units='["二中队", " 一中队 "]')
    secret, caller = house.login("王五")
    assert (caller.name, caller.role, caller.how) == ("王五", Role.CUSTODIAN, How.SESSION)
    assert caller.units == {"一中队", "二中队"}
    assert may(caller, Right.HOLD)
    assert house.access.session(secret) == caller
    house.access.logout(secret)
    assert house.access.session(secret) is None
    house.access.logout(secret)
    assert house.events("logged-in") == house.events("logged-out") == [{"account": "王五"}]


def test_an_officer_s_account_is_bound_to_a_number(house: House) -> None:
    with refused("bad-parameter", name="officer"):
        house.admit(role="officer")
    with refused("bad-parameter", name="officer"):
        house.admit(role="reviewer", units="all", officer="000123")
    house.admit(role="officer", officer=" a00123 ")
    assert house.login()[1].officer == "A00123"


@pytest.mark.parametrize(
    "units", ["", "[]", "{}", '"all"', "ALL", "[1]", '[""]', '["a\\nb"]', "[" * 5000, "[null]"]
)
def test_who_is_bound_to_units_is_bound_to_some_or_to_all_in_words(house: House, units: str) -> None:
    for role in ("custodian", "reviewer"):
        with refused("bad-parameter", name="units"):
            house.say("account-set", name="wang", role=role, units=units)
    house.say("account-set", name="wang", role="reviewer", units="all")
    assert house.say("account-list")["accounts"][0]["units"] == "all"


@pytest.mark.parametrize("role", ["inspector", "administrator", "officer"])
def test_others_are_not_bound_to_units(house: House, role: str) -> None:
    with refused("bad-parameter", name="units"):
        house.say("account-set", name="wang", role=role, units='["一中队"]', officer="1")
    for nonsense in ("", "root", "Inspector", "machine"):
        with refused("bad-parameter", name="role"):
            house.say("account-set", name="wang", role=nonsense)


def test_nobody_logs_in_before_a_password_is_set(house: House) -> None:
    assert house.say("account-set", name="wang", role="inspector")["password"] is False
    with refused("login-failed"):
        house.login()
    with refused("no-such-account", account="li"):
        house.say("account-password", name="li", password=PASSWORD)
    with refused("bad-password", kind="name"):
        house.say("account-password", name="wang", password="wang123456")
    house.say("account-password", name="wang", password=PASSWORD)
    assert house.login()


@pytest.mark.parametrize("change", ["account-set", "account-password", "account-remove"])
def test_a_session_ends_when_its_account_is_changed_or_goes(house: House, change: str) -> None:
    house.admit()
    house.admit("li")
    mine, others = house.login()[0], house.login("li")[0]
    house.say(change, name="wang", role="administrator", password=OTHER)
    assert house.access.session(mine) is None
    assert house.access.session(others)


def test_a_session_that_began_while_its_account_was_changed_has_not_the_rights_of_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.admit(role="administrator")
    began = house.access._sessions.begin

    def begin_late(caller: Caller, event: int) -> str:
        house.say("account-set", name="wang", role="inspector")
        return began(caller, event)

    monkeypatch.setattr(house.access._sessions, "begin", begin_late)
    assert house.access.session(house.login()[0]) is None


def test_another_role_keeps_the_password_and_a_removed_account_does_not(house: House) -> None:
    house.admit()
    assert house.say("account-set", name="wang", role="administrator")["password"] is True
    assert house.login()[1].role is Role.ADMINISTRATOR
    house.say("account-remove", name="wang")
    with refused("login-failed"):
        house.login()
    with refused("no-such-account"):
        house.say("account-remove", name="wang")
    assert house.say("account-list") == {"accounts": []}
    assert house.say("account-set", name="wang", role="inspector")["password"] is False
    with refused("login-failed"):
        house.login()


def test_an_idle_session_is_over(house: House) -> None:
    house.admit()
    secret, _ = house.login()
    house.clock.now += IDLE
    assert house.access.session(secret) is None


def test_the_fifth_wrong_password_locks_and_the_right_one_is_refused_then(house: House, cheap: None) -> None:
    house.admit()
    assert house.guess(WRONG_FOR_A_NAME) == ["login-failed"] * 4 + ["locked-out"]
    with refused("locked-out", minutes=15):
        house.login(address="10.0.0.2")
    house.clock.now += REFUSED - 30
    with refused("locked-out", minutes=1):
        house.login()
    house.clock.now += 30
    assert house.login()
    assert house.events("locked-out") == [{"account": "wang"}]  # once, however often it was tried


def test_a_lock_out_does_not_tell_whether_the_name_exists(house: House, cheap: None) -> None:
    house.admit()
    answers = {
        name: house.guess(8, name, f"10.1.0.{n}") for n, name in enumerate(("wang", "nobody", "<b>\u202e"))
    }
    assert len({tuple(each) for each in answers.values()}) == 1
    # What somebody typed may be a password: it is in no event.
    assert house.events("locked-out") == [{"account": "wang"}, {"account": ""}, {"account": ""}]


def test_who_guesses_at_many_names_is_locked_out_by_address(house: House, cheap: None) -> None:
    house.admit()
    for n in range(WRONG_FROM_AN_ADDRESS):
        house.guess(1, f"n{n}", f"2001:db8::{n:x}")
    with refused("locked-out"):
        house.login(address="2001:db8::ffff")
    assert house.login(address=HERE)
    assert house.events("locked-out") == [{"account": "", "address": "2001:db8::/64"}]


def test_the_spelling_of_a_name_gives_no_more_tries(house: House, cheap: None) -> None:
    house.admit()
    spellings = ("wang", "WANG", " wang", "ｗａｎｇ", "Wang")
    assert [house.guess(1, name)[0] for name in spellings][-1] == "locked-out"


def test_tries_at_the_same_time_are_each_counted(house: House) -> None:
    house.admit()
    told: list[str] = []
    start = threading.Barrier(12)

    def guess() -> None:
        start.wait()
        told.extend(house.guess(2))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(told) <= {"login-failed", "locked-out", "login-busy"}
    assert "login-busy" in told  # nobody holds up the threads that answer
    assert told.count("login-failed") < WRONG_FOR_A_NAME
    assert len(house.events("locked-out")) <= 1


@pytest.mark.parametrize("name", ["", "\udcff", "x" * 100_000, "wang\0", "汉" * 5000, "' OR 1=1 --"])
def test_whatever_is_typed_as_a_name_is_only_wrong(house: House, cheap: None, name: str) -> None:
    assert house.guess(6, name) == ["login-failed"] * 4 + ["locked-out"] * 2
    assert house.events("locked-out") == [{"account": ""}]


def test_a_token_is_a_machine_that_sees_status_and_metrics(house: House) -> None:
    made = house.say("token-make", name="prometheus", expires="")
    caller = house.access.token(made["secret"])
    assert caller
    assert (caller.who, caller.role) == ("token prometheus", None)
    assert set(caller.rights) == {Right.SEE_STATUS, Right.SCRAPE}
    with refused("token-exists", token="prometheus"):
        house.say("token-make", name="prometheus")
    house.say("token-revoke", name="prometheus")
    assert house.access.token(made["secret"]) is None
    with refused("no-such-token"):
        house.say("token-revoke", name="prometheus")
    again = house.say("token-make", name="prometheus")["secret"]
    assert house.access.token(again)
    for nonsense in ("", again[:-1], again + " ", "rst_" + "A" * 43, "\udcff", "x" * 100_000):
        assert house.access.token(nonsense) is None


def test_a_token_s_last_day_is_its_last(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    today = date.today()
    secret = house.say("token-make", name="m", expires=today.isoformat())["secret"]
    with refused("bad-parameter", name="expires"):
        house.say("token-make", name="n", expires=(today - timedelta(days=1)).isoformat())
    for nonsense in ("soon", "2027-13-01", "9999-12-31", "1", "\udcff"):
        with refused("bad-parameter", name="expires"):
            house.say("token-make", name="n", expires=nonsense)
    assert house.access.token(secret)
    assert house.say("token-list")["tokens"][0]["state"] == "valid"
    now = time.time()
    monkeypatch.setattr("agent.access.access.time.time", lambda: now + 86400)
    assert house.access.token(secret) is None
    assert house.say("token-list")["tokens"][0]["state"] == "expired"


def test_a_clock_that_goes_back_gives_no_token_a_second_life(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = house.say("token-make", name="m", expires=date.today().isoformat())["secret"]
    later = time.time() + 2 * 86400
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(later, "boot", True))
    house.admit()
    assert time.time() < later
    assert house.access.token(secret) is None


def test_when_a_token_was_used_is_written_once_a_day_and_is_no_event(house: House) -> None:
    secret = house.say("token-make", name="m")["secret"]
    db = house.catalog.read()
    before = db.execute("SELECT max(seq) FROM events").fetchone()[0]
    assert house.say("token-list")["tokens"][0]["used"] is None
    assert house.access.token(secret)
    assert house.say("token-list")["tokens"][0]["used"] == date.today().isoformat()
    commits: list[None] = []
    house.catalog.subscribe(lambda: commits.append(None))
    for _ in range(20):
        assert house.access.token(secret)
    assert commits == []
    assert db.execute("SELECT max(seq) FROM events").fetchone()[0] == before


def test_a_machine_is_told_of_a_station_that_cannot_write(house: House) -> None:
    secret = house.say("token-make", name="m")["secret"]
    house.access.token(secret)
    house.catalog.write(lambda tx: tx.execute("UPDATE tokens SET used = ''"))
    house.catalog._connection.execute("PRAGMA query_only = 1")
    assert house.access.token(secret)
    house.catalog._connection.execute("PRAGMA query_only = 0")
    assert house.say("token-list")["tokens"][0]["used"] is None


def test_every_change_is_an_event_with_who_did_it_and_none_tells_a_secret(house: House) -> None:
    house.say("account-set", "uid 0", name="wang", role="reviewer", units='["一中队"]')
    house.say("account-password", "li", name="wang", password=PASSWORD)
    secret = house.say("token-make", "li", name="m", expires="")["secret"]
    house.say("token-revoke", "token x", name="m")
    house.say("account-remove", "li", name="wang")
    [made] = house.events("token-made")
    assert house.events("account-set") == [
        {"account": "wang", "role": "reviewer", "units": ["一中队"], "officer": "", "who": "uid 0"}
    ]
    assert house.events("account-password") == [{"account": "wang", "who": "li"}]
    assert house.events("account-removed") == [{"account": "wang", "who": "li"}]
    assert made == {"token": "m", "expires": None, "who": "li"}
    assert house.events("token-revoked")[0]["who"] == "token x"
    every = "".join(row[0] for row in house.catalog.read().execute("SELECT body FROM events").fetchall())
    assert not any(one in every for one in (PASSWORD, "scrypt", secret, secret[4:]))


def test_nothing_secret_is_told_in_a_list_or_shown_by_accident(house: House) -> None:
    house.admit()
    secret = house.say("token-make", name="m")["secret"]
    db = house.catalog.read()
    told = repr((house.say("account-list"), house.say("token-list"), accounts.every(db), accounts.tokens(db)))
    assert not any(one in told for one in ("scrypt", secret, "hash"))


def test_no_file_of_the_catalog_holds_what_is_secret(house: House) -> None:
    house.admit()
    secret = house.say("token-make", name="m")["secret"]
    session, _ = house.login()
    for file in house.catalog.path.parent.glob("catalog.db*"):
        data = file.read_bytes()
        assert not any(one.encode() in data for one in (PASSWORD, secret, session))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts (name, role, units, officer, event) VALUES ('li', 'inspector', '[]', '', 1)",
        "UPDATE accounts SET role = 'administrator'",
        "UPDATE accounts SET password = 'scrypt$mine'",
        "UPDATE accounts SET password = 'scrypt$mine', event = event + 1",
        "UPDATE accounts SET removed = 1, password = NULL",
        "INSERT OR REPLACE INTO accounts VALUES ('wang', 'administrator', '[]', '', NULL, 0, 1)",
        "DELETE FROM accounts",
        "INSERT INTO tokens (id, name, hash) VALUES (1, 'mine', x'00')",
        "UPDATE tokens SET hash = x'00'",
        "UPDATE tokens SET expires = NULL",
        "UPDATE tokens SET revoked = 1, hash = NULL",
        "DELETE FROM tokens",
    ],
)
def test_nothing_changes_without_its_event_from_any_connection(house: House, statement: str) -> None:
    house.admit()
    house.say("token-make", name="m", expires=date.today().isoformat())
    with closing(sqlite3.connect(house.catalog.path)) as raw, pytest.raises(sqlite3.Error):
        raw.execute(statement)


def test_a_catalog_that_was_there_before_has_no_accounts(tmp_path: Path) -> None:
    with closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        assert accounts.every(catalog.read()) == []
        assert accounts.one(catalog.read(), "admin") is None
        with pytest.raises(sqlite3.IntegrityError):
            catalog.write(lambda tx: accounts.put(tx, Account("wang", "root"), {"who": "uid 0"}))
        assert accounts.last_trusted(catalog.read()) == 0.0
