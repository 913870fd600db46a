"""An export is asked for before a byte is copied; a second person approves where the station wants that; one
approval is good for one package, for a week."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent import clock
from agent.catalog import Catalog, door
from agent.config import Config
from agent.custody import package
from agent.custody.evidence import asking, exported
from agent.custody.evidence.export import Asked
from agent.custody.log import configured
from agent.custody.rebuild import rebuild_store
from agent.custody.texts import Texts
from agent.errors import Reject, Stop
from tests.custody_house import STATION
from tests.dockside import Dockside
from tests.exporting import ASKED, WHO, Exporting, run, wrong

OTHER, SECOND = "uid 8", "李娜"


def on(station: Exporting) -> None:
    configured.note_approval(station.side.catalog, True)


def decide(station: Exporting, ask: int, what: str = "approve", name: str = SECOND, who: str = OTHER) -> int:
    said = {"asked": str(ask), "person": name}
    return int(station.commands[f"export-{what}"](said, who)["event"])


def bodies(catalog: Catalog, kind: str) -> list[dict[str, Any]]:
    rows = catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
    return [json.loads(row[0]) for row in rows]


def told(bag: Path, key: str) -> str:
    return "\n".join(said.en for said in package.check(str(bag), key))


def test_what_is_asked_for_is_in_the_log_before_anything_is_packed(station: Exporting) -> None:
    ask = station.ask([2])
    [body] = bodies(station.side.catalog, "export-asked")
    assert (body["clips"], body["case"], body["who"]) == ([2], ASKED.case, WHO)
    texts = Texts(station.store)
    assert [texts.read(body[name]) for name in ("name", "reason")] == [ASKED.name, ASKED.reason]
    assert ASKED.name not in json.dumps(body, ensure_ascii=False)
    assert ask == station.side.catalog.read().execute("SELECT max(seq) FROM events").fetchone()[0]


def test_without_the_setting_nobody_has_to_approve_and_the_verdict_says_that_nobody_did(
    station: Exporting,
) -> None:
    bag = station.export()
    assert "no second person approved it" in told(bag, station.vkey)
    assert wrong(bag, station.vkey) == []
    [body] = bodies(station.side.catalog, "exported")
    assert (body["asked"], body["approved"]) == (bodies_seq(station, "export-asked"), None)


def bodies_seq(station: Exporting, kind: str) -> int:
    row = (
        station.side.catalog.read().execute("SELECT max(seq) FROM events WHERE kind = ?", (kind,)).fetchone()
    )
    return int(row[0])


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_with_it_nothing_is_exported_until_a_second_person_approved_and_the_verdict_names_him(
    station: Exporting, name: str
) -> None:
    on(station)
    plan = station.plan()
    with pytest.raises(Reject, match="export-needs-approval"):
        station.order(plan)
    approved = decide(station, plan.asked)
    # The plan is made anew: what a package came from is in it.
    station.log()
    bag = station.root / name
    plan = station.plan_with(station.log(), station.everything(), plan.asked)
    station.write(plan, name)
    assert wrong(bag, station.vkey) == []
    assert f"a second person approved it (event {approved}): {SECOND}" in told(bag, station.vkey)
    report = plan.files["data/report.html"].source
    assert isinstance(report, bytes)
    assert SECOND in report.decode()
    [body] = bodies(station.side.catalog, "exported")
    assert (body["asked"], body["approved"]) == (plan.asked, approved)
    assert SECOND in run(bag, "--key", station.vkey).stdout
    with pytest.raises(Reject, match="export-used"):
        station.order(plan)
    with pytest.raises(Reject, match="export-used"):
        decide(station, plan.asked)


@pytest.mark.parametrize(
    ("name", "who", "key"),
    [
        (SECOND, WHO, "export-same-user"), (ASKED.name, OTHER, "export-same-name"),
        (f" {ASKED.name} ", OTHER, "export-same-name"), ("王 伟", OTHER, "export-same-name"),
        (" ", OTHER, "bad-parameter"), ("x" * 501, OTHER, "bad-parameter"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", ["approve", "refuse"])
def test_who_asked_is_no_second_person_and_that_it_was_tried_is_an_entry(
    station: Exporting, what: str, name: str, who: str, key: str
) -> None:
    on(station)
    ask = station.ask([2])
    with pytest.raises(Reject, match=key):
        decide(station, ask, what, name, who)
    tried = bodies(station.side.catalog, "export-not-approved")
    assert tried == ([] if key == "bad-parameter" else [{"asked": ask, "reason": key, "who": who}])
    assert bodies(station.side.catalog, "export-approved") == []


def test_a_name_is_the_same_in_any_spelling(station: Exporting) -> None:
    ask = station.ask([2], Asked("Wang Wei", "x"))
    with pytest.raises(Reject, match="export-same-name"):
        decide(station, ask, name="ＷＡＮＧ  wei")


def test_a_refusal_is_an_entry_and_for_good(station: Exporting) -> None:
    plan = station.plan()
    event = decide(station, plan.asked, "refuse")
    [body] = bodies(station.side.catalog, "export-refused")
    assert (body["asked"], body["who"]) == (plan.asked, OTHER)
    assert Texts(station.store).read(body["name"]) == SECOND
    for attempt in (lambda: station.order(plan), lambda: decide(station, plan.asked)):
        with pytest.raises(Reject, match="export-refused") as raised:
            attempt()
        assert raised.value.params["event"] == event


def test_one_person_approves_once(station: Exporting) -> None:
    ask = station.ask([2])
    decide(station, ask)
    for what in ("approve", "refuse"):
        with pytest.raises(Reject, match="export-decided"):
            decide(station, ask, what, "赵敏", "uid 9")


def test_only_who_asked_makes_the_package_and_only_of_what_was_asked_for(station: Exporting) -> None:
    plan = station.plan()
    said = {"asked": str(plan.asked), "clips": "2", "contents": "0" * 64}
    with pytest.raises(Reject, match="export-anothers"):
        station.commands["export"](said, OTHER)
    others = [row["id"] for row in station.side.rows() if row["officer"] == "000002"]
    with pytest.raises(Reject, match="bad-parameter"):
        station.order(plan, clips=",".join(map(str, others)))


def test_an_ask_and_an_approval_last_a_week(station: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    on(station)
    late, fine = station.plan(), station.plan()
    now = clock.stamp()
    days = 0.0

    def later() -> Any:
        return now.__class__(now.wall + days * 86400, now.boot_id, now.trusted)

    for room in (asking, door):
        monkeypatch.setattr(room, "stamp", later)
    days = 6.9
    decide(station, fine.asked)
    days = 7.1
    with pytest.raises(Reject, match="export-too-late"):
        decide(station, late.asked)
    days = 13.8
    assert station.commands["export-look"]({"asked": str(fine.asked)}, WHO)["hinders"] == {}
    days = 14.0
    with pytest.raises(Reject, match="export-too-late"):
        station.order(fine)
    days = -2.0  # the clock was set back: nobody can tell how long ago it was
    with pytest.raises(Reject, match="export-too-late"):
        station.order(fine)


def test_when_the_askers_name_was_erased_nobody_can_be_told_to_be_another(station: Exporting) -> None:
    ask = station.ask([2])
    [body] = bodies(station.side.catalog, "export-asked")
    (station.store / "custody" / "texts" / f"{body['name']}.json").unlink()
    with pytest.raises(Reject, match="export-asker-erased"):
        decide(station, ask)


def test_whoever_is_to_approve_sees_what(station: Exporting) -> None:
    on(station)
    ask = station.ask([2, 3])
    found = station.commands["export-look"]({"asked": str(ask)}, OTHER)
    assert (found["person"], found["reason"], found["case"]) == (ASKED.name, ASKED.reason, ASKED.case)
    assert (found["clips"], found["who"], found["hinders"]["key"]) == ([2, 3], WHO, "export-anothers")
    found = station.commands["export-look"]({"asked": str(ask)}, WHO)
    assert found["hinders"]["key"] == "export-needs-approval"


# The setting


def test_each_change_of_the_setting_is_an_entry_also_one_while_no_agent_ran(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    said = []
    for required in (False, False, True, True, False):  # each by another run of the agent
        catalog = Catalog.open(path)
        config = Config.model_validate({"export": {"approval": required}})
        configured.note_approval(catalog, config.export.approval)
        assert configured.approval_required(catalog.read()) is required
        said = bodies(catalog, "export-approval")
        catalog.close()
    assert said == [{"required": False}, {"required": True}, {"required": False}]


def test_what_is_not_in_the_log_yet_is_not_in_force(station: Exporting) -> None:
    """A file that says "no" lets nobody export before the log says so."""
    on(station)
    plan = station.plan()
    with pytest.raises(Reject, match="export-needs-approval"):
        station.order(plan)
    configured.note_approval(station.side.catalog, False)
    station.order(plan)


# What a station signs although it is not so


def other_body(station: Exporting, plan: Any, **facts: object) -> None:
    """An `exported` whose body says something else."""
    ask = asking.of(station.side.catalog.read(), plan.asked)
    body = {
        "clips": [one.id for one in plan.clips], "case": ask.case, "name": ask.name, "reason": ask.reason,
        "contents": plan.contents, "asked": plan.asked, "approved": None, "who": WHO, **facts,
    }  # fmt: skip
    seq = station.side.catalog.write(lambda tx: door.note(tx, "exported", None, body))
    station.answer = {"event": seq, "name": ask.name, "reason": ask.reason, "approver": ""}


FALSE: dict[str, tuple[dict[str, object], str]] = {
    "an ask that is none": ({"asked": 1}, "came from event 1, export-asked, whose entry is not there"),
    "another case": ({"case": "18"}, "asked for another export"),
    "an approval that is none": ({"approved": 2}, "came from event 2, export-approved"),
    "an approval that is no number": ({"approved": "x"}, "came from event x, export-approved"),
    "an approval that is an object": ({"approved": {"x": 1}}, "whose entry is not there"),
    "an ask that is a list": ({"asked": [[]]}, "whose entry is not there"),
    "no ask": ({"asked": None}, "is about none of these clips"),
}


@pytest.mark.parametrize("what", FALSE)
def test_an_approval_or_an_ask_that_is_not_so_is_named(
    station: Exporting, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    facts, named = FALSE[what]
    plan = station.plan()
    other_body(station, plan, **facts)
    monkeypatch.setattr(station, "order", lambda plan: station.answer)
    with pytest.raises(Stop, match="export-not-whole") as raised:
        station.write(plan)
    assert named in raised.value.params["reason"]


def test_the_proof_of_an_approval_that_is_left_out_is_missed(station: Exporting) -> None:
    ask = station.ask([row["id"] for row in station.side.rows() if row["officer"] == "000001"])
    decide(station, ask)
    bag = station.write(station.plan_with(station.log(), station.everything(), ask))
    approved = bodies_seq(station, "export-approved")
    (bag / f"data/log/{approved}.proof").unlink()
    assert any("something else" in said for said in wrong(bag, station.vkey))


def test_what_became_of_an_ask_is_known_from_the_log_alone(station: Exporting) -> None:
    """A catalog that was made anew from it lets nobody use an approval twice, nor one that was refused."""
    plan, refused = station.plan(), station.plan()
    station.order(plan)
    decide(station, refused.asked, "refuse")
    station.log()
    station.side.close()
    rebuild_store(station.store, STATION)
    station.side = Dockside(station.root / "station")
    station.commands = exported.commands(station.side.catalog, Texts(station.store))
    for one, key in ((plan, "export-used"), (refused, "export-refused")):
        with pytest.raises(Reject, match=key):
            station.order(one)
