"""Who may what, from where: every route of the published interface, for every role."""

import base64
import json
from collections.abc import Iterator

import pytest

from agent.access.roles import Role
from agent.catalog import holds, intake, labels
from agent.model import Identity, Pulled, SlotStatus, SourceClip
from agent.status.health import Issue, Severity
from tests.uploading import eventually
from tests.web.api_routes import MATRIX, ROUTES, SECRET, A, C, I, M, O, R
from tests.web.outside import Outsider, account, certificate, token
from tests.web.station import Station, collecting

#: The station, who asks by role, a docking and a clip of it.
House = tuple[Station, dict[str, Outsider], int, int]


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("access")
    crt, key = certificate(folder)
    with Station(folder, lan=(crt, key)) as station:
        station.slots = [collecting(), SlotStatus("2", pulled=Pulled("9999999", "000999", 3, 5.0))]
        who = Identity("R1", True, "F", "P1")

        def work(tx: object) -> tuple[int, int]:
            docking = intake.begin_docking(tx, "1", who)  # type: ignore[arg-type]
            (clip,) = intake.see(tx, docking, who, [SourceClip("DCIM/R1_P1.mp4", 9, 5, officer="P1")])  # type: ignore[arg-type]
            return docking, clip

        docking, clip = station.catalog.write(work)
        for role in Role:
            units = "all" if role in (Role.CUSTODIAN, Role.REVIEWER) else ""
            account(station, role, role, units, "P1" if role is Role.OFFICER else "")
        people = {}
        for role in Role:
            people[role.value] = Outsider(station, crt)
            assert people[role.value].login(role).status == 200
        people[M] = Outsider(station, crt, token(station, "prometheus"))
        people[""] = Outsider(station, crt)
        yield station, people, docking, clip


@pytest.mark.parametrize("route", MATRIX, ids=lambda route: " ".join(route[:2]))
@pytest.mark.parametrize("who", [O, C, R, I, A, M, ""])
def test_a_route_opens_to_whom_it_is_for_and_to_nobody_else(
    house: House, route: tuple[str, str, str], who: str
) -> None:
    _, people, docking, clip = house
    method, path, body = route
    path = path.format(docking=docking, clip=clip).replace("SECRET", SECRET)
    said = json.loads(body.replace("CLIP", str(clip))) if body else None
    status = people[who].ask(f"/api/v1{path}", method, said).status
    if not who:
        assert status == 401
    elif who in MATRIX[route]:
        assert status not in (401, 403)
    else:
        assert status == 403


def test_the_table_speaks_of_every_route(house: House) -> None:
    station, *_ = house
    described = station.get_local("/api/v1/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    # Coming in and going out are no matter of rights.
    assert routes - {("POST", "/session"), ("DELETE", "/session")} == set(ROUTES)


def test_an_administrator_reads_nobodys_name(house: House) -> None:
    _, people, _docking, clip = house
    for path in ("/status", "/slots", "/clips", f"/clips/{clip}", "/dockings", "/holds"):
        text = people[A].ask(f"/api/v1{path}").body.decode()
        for name in ("R1", "P1", "8888888", "000123", "a.mp4", "9999999", "000999"):
            assert name not in text, path
    assert "R1" in people[I].ask("/api/v1/clips").body.decode()


def test_an_officer_sees_only_what_is_theirs(house: House) -> None:
    station, people, _, clip = house
    other = Identity("R2", True, "G", "P2")

    def work(tx: object) -> int:
        docking = intake.begin_docking(tx, "2", other)  # type: ignore[arg-type]
        return intake.see(tx, docking, other, [SourceClip("b.mp4", 9, 5, officer="P2")])[0]  # type: ignore[arg-type]

    strange = station.catalog.write(work)
    mine = people[O].ask("/api/v1/clips").json()["clips"]
    assert [row["clip"] for row in mine] == [clip]
    assert people[O].ask(f"/api/v1/clips/{strange}").status == 404
    assert people[O].ask(f"/api/v1/clips/{clip}").status == 200
    assert {row["officer"] for row in people[O].ask("/api/v1/dockings").json()["dockings"]} == {"P1"}


def test_a_custodian_of_a_unit_sees_that_unit(house: House) -> None:
    station, people, _, clip = house
    station.units = {"P1": ["first"], "P2": ["second"]}
    try:
        account(station, "zhao", Role.CUSTODIAN, '["second"]')
        zhao = Outsider(station, people[C]._trusted)
        zhao.login("zhao")
        theirs = Identity("R4", True, "H", "P2")

        def work(tx: object) -> None:
            docking = intake.begin_docking(tx, "4", theirs)  # type: ignore[arg-type]
            intake.see(tx, docking, theirs, [SourceClip("d.mp4", 9, 5, officer="P2")])  # type: ignore[arg-type]

        station.catalog.write(work)
        assert {row["officer"] for row in zhao.ask("/api/v1/clips").json()["clips"]} == {"P2"}
        assert zhao.ask(f"/api/v1/clips/{clip}").status == 404
        body = {"clips": [clip], "category": "x", "reason": "r"}
        assert zhao.ask("/api/v1/labels", "POST", body).status == 404
        held = {"scope": "clip", "value": str(clip), "reason": "r"}
        assert zhao.ask("/api/v1/holds", "POST", held).status == 404
        assert zhao.ask("/api/v1/holds", "POST", {**held, "scope": "officer"}).status == 403
        assert zhao.ask("/api/v1/holds/1/lift", "POST", {"reason": "r"}).status == 403
        assert zhao.ask("/api/v1/asks/1/agree", "POST").status == 403
    finally:
        station.units = {}


def test_whom_a_page_ends_with_is_told_to_nobody_whom_it_does_not_concern(house: House) -> None:
    """`next` speaks of the last one that was looked at, not of the last one that was told."""
    station, people, *_ = house

    def work(tx: object) -> None:
        for recorder in ("S1", "S2", "S3", "S4"):
            identity = Identity(recorder, True, recorder, "P9")
            intake.begin_docking(tx, "3", identity)  # type: ignore[arg-type]

    station.catalog.write(work)

    def pages(who: str) -> list[str]:
        text, cursor = [], ""
        for _ in range(20):
            text.append(people[who].ask(f"/api/v1/recorders?limit=1{cursor}").body.decode())
            if (after := json.loads(text[-1])["next"]) is None:
                return text
            cursor = f"&cursor={after}"
        raise AssertionError("no end")

    assert "S" not in "".join(pages(O)) and "R1" in "".join(pages(O))
    told = [row["recorder"] for page in pages(I) for row in json.loads(page)["recorders"]]
    assert told == sorted({*told, "R1", "S1", "S2", "S3", "S4"})


def test_an_issue_names_others_recorders_to_nobody_who_is_bound(house: House) -> None:
    station, people, *_ = house
    account(station, "qian", Role.CUSTODIAN, '["second"]')
    bound = Outsider(station, people[C]._trusted)
    bound.login("qian")
    params = {"count": 2, "recorders": ["7777777"], "recorder": "6666666", "by": {"who": "5555555"}}
    station.issues = [Issue("recorders-not-docked", Severity.INFO, params)]
    # What was found lately is remembered for a second.
    eventually(lambda: station.health.issues() != [])
    try:
        for path in ("/issues", "/status"):
            for who in (people[O], people[A], people[M], bound):
                text = who.ask(f"/api/v1{path}").body.decode()
                assert '"count":2' in text
                assert not any(name in text for name in ("7777777", "6666666", "5555555"))
            assert "7777777" in people[C].ask(f"/api/v1{path}").body.decode()
    finally:
        station.issues = []


def test_who_knows_of_an_issue_is_told_to_those_alone_who_may_know(house: House) -> None:
    station, people, *_ = house
    params = {"recorder": "7777777", "error": "x"}
    station.issues = [
        Issue("not-judged", Severity.WARNING, params, "7777777"),
        Issue("slot-stuck", Severity.WARNING, {"slot": "3"}, "3"),
        Issue("slot-stuck", Severity.WARNING, {"slot": "4"}, "4"),
    ]
    eventually(lambda: len(station.health.issues()) >= 3)
    try:
        address = "/api/v1/issues/{}/acknowledge"
        note = {"note": "of officer Wang"}
        assert people[A].ask(address.format("slot-stuck"), "POST", note).status == 409
        assert people[A].ask(address.format("slot-stuck"), "POST", {**note, "subject": "4"}).status == 200
        masked = {**note, "subject": "•••"}
        assert people[A].ask(address.format("not-judged"), "POST", masked).status == 200
        eventually(lambda: "administrator" in people[C].ask("/api/v1/issues").body.decode())

        def read(who: str) -> list[tuple[str, str, str]]:
            issues = people[who].ask("/api/v1/issues").json()["issues"]
            known = [(one["subject"], one["acknowledged"]) for one in issues if one["acknowledged"]]
            return [(subject, one["by"], one["note"]) for subject, one in known]

        everything = [(one, "administrator", "of officer Wang") for one in ("7777777", "4")]
        assert read(C) == read(I) == everything
        assert read(A) == [("•••", "administrator", "•••"), ("4", "administrator", "•••")]
        assert read(O) == read(M) == [("•••", "•••", "•••")] * 2
    finally:
        station.issues = []


def test_an_administrator_reads_no_case_which_may_be_called_after_somebody(house: House) -> None:
    station, people, _, clip = house
    facts = {"name": "n", "reason": "r", "who": "uid 0"}
    station.catalog.write(lambda tx: labels.put(tx, clip, {"case": "case of Wang"}, facts))
    for path in ("/clips", f"/clips/{clip}"):
        assert "Wang" not in people[A].ask(f"/api/v1{path}").body.decode()
        assert "Wang" in people[I].ask(f"/api/v1{path}").body.decode()


def test_holds_come_page_by_page_however_many_there_are(house: House) -> None:
    station, people, *_ = house
    facts = {"name": "n", "reason": "r", "who": "uid 0"}
    for case in ("A", "B", "C"):
        station.catalog.write(lambda tx, case=case: holds.place(tx, {"scope": "case", "value": case}, facts))  # type: ignore[misc]
    found, after = list[str](), "0"
    while after is not None:
        page = people[I].ask(f"/api/v1/holds?limit=1&cursor={after}").json()
        assert len(page["holds"]) <= 1
        found += [hold["value"] for hold in page["holds"]]
        after = page["next"]
    assert found == ["A", "B", "C"]


def test_an_order_for_a_slot_names_its_recorder_to_nobody_whom_it_does_not_concern(house: House) -> None:
    station, people, *_ = house
    account(station, "sun", Role.CUSTODIAN, '["second"]')
    bound = Outsider(station, people[C]._trusted)
    bound.login("sun")
    for slot, status in (("1", 200), ("done", 409)):
        for who in (people[A], bound):
            answer = who.ask(f"/api/v1/slots/{slot}/first", "POST")
            assert answer.status == status and "1234567" not in answer.body.decode()
        assert "1234567" in people[C].ask(f"/api/v1/slots/{slot}/first", "POST").body.decode()


@pytest.mark.parametrize("made_up", ['["\\ud800", 1]', '["9999", 1e400]', '["9999", true]', "[" * 150, "{}"])
def test_a_cursor_that_was_made_up_is_refused(house: House, made_up: str) -> None:
    _, people, *_ = house
    cursor = base64.urlsafe_b64encode(made_up.encode()).decode()
    answer = people[I].ask(f"/api/v1/clips?cursor={cursor}")
    assert answer.status == 400 and answer.json()["params"]["name"] == "cursor"


def test_who_asks_again_is_told_only_what_has_changed(house: House) -> None:
    station, people, *_ = house
    first = people[I].ask("/api/v1/status")
    again = {"If-None-Match": first.headers["etag"]}
    unchanged = people[I].ask("/api/v1/status", headers=again)
    assert (unchanged.status, unchanged.body) == (304, b"")
    slots = station.slots
    station.slots = [*slots, collecting("3")]
    try:
        assert people[I].ask("/api/v1/status", headers=again).status == 200
    finally:
        station.slots = slots
    # The same mark means the same to everybody: whom names are masked for is told something else.
    assert people[A].ask("/api/v1/status", headers=again).status == 200
