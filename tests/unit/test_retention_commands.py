"""Labels, holds, cases and rules: who may say what, what it takes, and what it does to each clip."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, door, holds, labels, retained, rulesets
from agent.clock import Clock, Stamp
from agent.config import RetentionConfig
from agent.custody.texts import Texts
from agent.errors import Reject
from agent.retention import persons
from agent.retention.book import Book, follow, standing, take_over
from agent.retention.clockwatch import ClockWatch
from agent.retention.commands import Commands
from tests.retaining import config
from tests.uploading import WHO, Station, content

DAY = 86400.0


class House:
    """A station with clips, and people who have it do something. `trusted`: its clock."""

    def __init__(self, root: Path) -> None:
        self.station = Station(root)
        self.catalog: Catalog = self.station.catalog
        self.book, self.texts, self.trusted = Book(), Texts(root), True
        self.config: RetentionConfig = config()
        self.commands = Commands(
            self.catalog,
            self.book,
            self.texts,
            lambda: self.config,
            ClockWatch(self.catalog, Clock(lambda: self.trusted)),
        ).all()
        self.configure()

    def configure(self, **said: Any) -> None:
        self.config = config(**said)
        persons.require(self.catalog, self.config.two_persons)
        take_over(self.catalog, self.config)

    def clip(self, name: str = "1.mp4") -> int:
        return self.station.store(name, content(100, seed=hash(name)))

    def say(self, command: str, who: str = "wang", **arguments: Any) -> Mapping[str, Any]:
        said = {name: str(value) for name, value in arguments.items()}
        return self.commands[command]({"person": "Wang", "reason": "why"} | said, who)

    def both(self, command: str, **arguments: Any) -> Mapping[str, Any]:
        """With a second person who agrees."""
        asked = self.say(command, **arguments)["asked"]
        return self.say("agree", "li", person="Li", asked=asked)

    def holds(self, clip: int) -> list[int]:
        db = self.catalog.read()
        row = retained.one(db, clip)
        assert row
        return [hold.id for hold in self.book.keeping(db).holds(row)]

    def last(self, kind: str) -> dict[str, Any]:
        rows = self.catalog.read().execute(
            "SELECT body FROM events WHERE kind = ? ORDER BY seq DESC", (kind,)
        )
        return dict(json.loads(rows.fetchone()[0]))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(time.time(), "boot", True))
    made = House(tmp_path)
    yield made
    made.station.close()


def refused(key: str) -> Any:
    return pytest.raises(Reject, check=lambda error: error.key == key)


def test_a_label_is_an_entry_with_who_said_it_and_why(house: House) -> None:
    clips = [house.clip("1"), house.clip("2")]
    done = house.say(
        "label", clips=f"{clips[0]},{clips[1]}", category="traffic", important="yes", note="seen"
    )
    assert done == {"clips": 2, "changed": 2}
    told = house.last("labelled")
    assert told["set"]["category"] == "traffic"
    assert house.texts.read(told["name"]) == "Wang"
    assert house.texts.read(told["reason"]) == "why"
    assert house.texts.read(told["set"]["note"]) == "seen"
    assert "seen" not in str(told)
    assert labels.of(house.catalog.read(), clips[1])["important"] == "yes"
    assert house.say("label", clips=clips[0], category="traffic")["changed"] == 0


def test_all_clips_of_a_docking_are_labelled_at_once(house: House) -> None:
    clips = [house.clip("1"), house.clip("2")]
    for clip in clips:
        docking = (
            house.catalog.read().execute("SELECT docking FROM clips WHERE id = ?", (clip,)).fetchone()[0]
        )
        house.say("label", docking=docking, case="LN-1")
    assert [labels.of(house.catalog.read(), clip)["case"] for clip in clips] == ["LN-1", "LN-1"]


def test_an_officer_may_only_lengthen(house: House) -> None:
    clip = house.clip()
    house.say("label", clips=clip, important="yes", role="officer")
    with refused("label-shortens"):
        house.say("label", clips=clip, important="", role="officer")
    house.say("label", clips=clip, important="no")


def test_either_all_clips_of_a_command_are_labelled_or_none(house: House) -> None:
    clip = house.clip()
    with refused("no-such-clip"):
        house.say("label", clips=f"{clip},999999", category="traffic")
    assert labels.of(house.catalog.read(), clip)["category"] == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"clips": "1"},
        {"clips": "x", "category": "a"},
        {"clips": "1,", "category": "a"},
        {"clips": "", "category": "a"},
        {"docking": "77", "category": "a"},
        {"clips": "1", "important": "maybe"},
        {"clips": "1", "category": "a\nb"},
        {"clips": "1", "category": "a" * 65},
        {"clips": "1", "note": "a" * 501},
        {"clips": "1", "category": "a", "reason": ""},
    ],
)
def test_a_label_that_cannot_be_meant_is_refused(house: House, arguments: dict[str, str]) -> None:
    clip = house.clip()
    with refused("bad-parameter"):
        said: dict[str, Any] = {name: clip if text == "1" else text for name, text in arguments.items()}
        house.say("label", **said)
    assert labels.of(house.catalog.read(), clip) == dict.fromkeys(labels.FIELDS, "")


@pytest.mark.parametrize("scope", holds.SCOPES)
def test_a_hold_is_in_force_at_once_and_for_what_comes_later(house: House, scope: str) -> None:
    clip = house.clip("1")
    house.say("label", clips=clip, case="LN-1", officer="12345")
    value = {"clip": clip, "recorder": WHO.recorder, "officer": "12345", "case": "LN-1"}[scope]
    done = house.say("hold-set", scope=scope, value=value)
    assert done["clips"] == 1
    assert house.holds(clip) == [done["hold"]]
    later = house.clip("2")
    house.say("label", clips=later, case="LN-1", officer="12345")
    assert house.holds(later) == ([] if scope == "clip" else [done["hold"]])


def test_a_hold_on_something_unknown_is_kept_for_the_future(house: House) -> None:
    done = house.say("hold-set", scope="recorder", value="7777777")
    assert done["clips"] == 0
    assert house.say("hold-set", scope="clip", value="999999")["clips"] == 0


@pytest.mark.parametrize(
    ("since", "until", "held"),
    [
        ("", "", True),
        ("2026-11-24T00:00", "2026-11-26T00:00", True),
        ("2026-12-24T00:00", "", False),
        ("", "2025-01-01T00:00", False),
        ("2025-01-01T00:00", "2025-02-01T00:00", False),
    ],
)
def test_a_hold_on_an_officers_time_covers_what_can_have_been_recorded_then(
    since: str, until: str, held: bool
) -> None:
    at = datetime(2026, 11, 25, 18).timestamp()
    row = retained.Row(
        1,
        "stored",
        "r",
        "12345",
        "",
        0,
        "",
        "",
        0,
        "2026-11-25T09:00:00",
        at,
        1,
        None,
        None,
        None,
        1,
        1,
        1,
        "k",
    )
    assert holds.Hold(1, "officer", "12345", since, until).covers(row) is held
    # A recorder whose clock says something else proves nothing.
    assert holds.Hold(1, "officer", "12345", "2026-11-25T00:00", "").covers(
        row._replace(recorded_at="1980-01-01")
    )


def test_no_label_takes_a_clip_out_of_a_hold(house: House) -> None:
    clip = house.clip()
    house.say("label", clips=clip, case="LN-1")
    house.say("hold-set", scope="case", value="LN-1")
    with refused("label-leaves-hold"):
        house.say("label", clips=clip, case="LN-2")


def test_a_hold_follows_a_clip_that_turns_out_to_be_another_one(house: House) -> None:
    first, second = house.clip("1"), house.clip("2")
    hold = house.say("hold-set", scope="clip", value=second)["hold"]
    house.catalog.write(
        lambda tx: tx.execute("UPDATE clips SET merged_into = ? WHERE id = ?", (first, second))
    )
    assert [one.value for one in holds.in_force(house.catalog.read()) if one.id == hold] == [str(first)]


def test_lifting_a_hold_takes_two_persons(house: House) -> None:
    clip = house.clip()
    hold = house.say("hold-set", scope="clip", value=clip)["hold"]
    asked = house.say("hold-lift", hold=hold)["asked"]
    assert house.holds(clip) == [hold]
    with refused("ask-same-user"):
        house.say("agree", "wang", person="Li", asked=asked)
    with refused("ask-same-name"):
        house.say("agree", "li", person=" wang", asked=asked)
    assert house.holds(clip) == [hold]
    house.say("agree", "li", person="Li", asked=asked)
    assert house.holds(clip) == []
    told = house.last("hold-lifted")
    assert told["hold"] == hold
    assert told["agreed"]
    with refused("ask-over"):
        house.say("agree", "li", person="Li", asked=asked)
    with refused("no-such-hold"):
        house.say("hold-lift", hold=hold)


def test_an_ask_is_good_for_a_week(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = house.say("hold-set", scope="recorder", value="1")["hold"]
    asked = house.say("hold-lift", hold=hold)["asked"]
    now = door.stamp()
    late = type(now)(now.wall + 8 * DAY, now.boot_id, now.trusted)
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: late)
    with refused("ask-over"):
        house.say("agree", "li", person="Li", asked=asked)


def test_one_person_is_enough_where_the_configuration_says_so_and_that_is_an_entry(house: House) -> None:
    hold = house.say("hold-set", scope="recorder", value="1")["hold"]
    house.configure(two_persons=False)
    assert house.last("two-persons") == {"required": False}
    assert "event" in house.say("hold-lift", hold=hold)


def test_a_clip_is_kept_with_its_case_until_that_is_closed(house: House) -> None:
    clip = house.clip()
    house.say("label", clips=clip, case="LN-1")
    db = house.catalog.read()

    def until() -> float:
        row = retained.one(db, clip)
        assert row
        began = retained.began(db, row, row.docked + 1).at
        return house.book.keeping(db).at_centre(row, began, row.docked + 1).until - row.docked

    assert until() == float("inf")
    house.both("case-close", case="LN-1")
    assert until() == pytest.approx(183 * DAY, abs=1)
    with refused("case-closed"):
        house.say("case-close", case="LN-1")
    house.say("case-open", case="LN-1")
    assert until() == float("inf")


def test_rules_that_only_lengthen_are_in_force_at_once(house: House) -> None:
    house.configure(classes={"ordinary": {"centre": "200 days"}})
    now = standing(house.catalog.read())
    assert now.waiting is None
    assert now.latest
    assert now.latest.rules[0]["centre"] == 200 * DAY


def test_rules_that_shorten_wait_and_the_old_ones_protect_meanwhile(house: House) -> None:
    clip = house.clip()
    house.configure(classes={"ordinary": {"centre": "90 days", "local": "40 days"}})
    db = house.catalog.read()
    row = retained.one(db, clip)
    assert row
    keeping = house.book.keeping(db)
    assert keeping.at_centre(row, 0.0, 0.0).until == 183 * DAY
    assert keeping.here(row, 0.0).until == 40 * DAY
    with refused("rules-cool-off"):
        house.say("rules-confirm")


def short(house: House, **more: Any) -> None:
    house.configure(classes={"ordinary": {"centre": "90 days"}}, cooling_off="0 s", **more)


def test_rules_that_shorten_come_into_force_when_two_persons_say_so(house: House) -> None:
    house.clip()
    short(house, most_affected=100)
    house.trusted = False
    with refused("rules-clock-untrusted"):
        house.say("rules-confirm")
    house.trusted = True
    house.both("rules-confirm")
    now = standing(house.catalog.read())
    assert now.waiting is None
    assert now.latest
    assert now.latest.rules[0]["centre"] == 90 * DAY
    with refused("no-rules-wait"):
        house.say("rules-confirm")


def test_rules_that_let_too_many_clips_go_earlier_are_not_confirmed(house: House) -> None:
    house.clip()
    short(house)
    with refused("rules-affect-many"):
        house.say("rules-confirm")


def test_rules_that_are_taken_back_before_they_are_confirmed_shorten_nothing(house: House) -> None:
    short(house)
    house.configure()
    assert [row.state for row in rulesets.standing(house.catalog.read())] == ["in-force"]


def test_what_rules_that_waited_lengthened_is_not_shortened_by_taking_them_back(house: House) -> None:
    longer = {"ordinary": {"centre": "90 days", "local": "40 days"}}
    house.configure(classes=longer)
    house.configure()
    assert [row.state for row in rulesets.standing(house.catalog.read())] == [
        "in-force",
        "waiting",
        "waiting",
    ]
    assert {rule.local for rule in standing(house.catalog.read()).rules if rule.name == "ordinary"} == {
        30 * DAY,
        40 * DAY,
    }


def test_files_with_faults_change_no_rule(house: House) -> None:
    """What is in force then are the defaults."""
    house.configure(
        classes={"long": {"centre": "900 days"}}, rules={"all": {"gives": "long"}}, two_persons=False
    )
    before = standing(house.catalog.read())
    follow(house.catalog, config(), faulty=True)
    assert standing(house.catalog.read()) == before
    assert not persons.required(house.catalog.read())
    follow(house.catalog, config(), faulty=False)
    assert standing(house.catalog.read()).waiting
    assert persons.required(house.catalog.read())


def test_what_was_agreed_to_is_what_was_asked_for(house: House) -> None:
    """Between the two persons somebody changes the rules again."""
    short(house, most_affected=100)
    asked = house.say("rules-confirm")["asked"]
    house.configure(classes={"ordinary": {"centre": "2 days"}}, cooling_off="0 s", most_affected=100)
    with refused("no-rules-wait"):
        house.say("agree", "li", person="Li", asked=asked)


RAW: dict[str, Callable[[int, int], str]] = {
    "a hold": lambda clip, seq: f"INSERT INTO holds VALUES ({seq}, 'clip', '{clip}', '', '', NULL)",
    "a lifted hold": lambda clip, seq: f"UPDATE holds SET lifted = {seq}",
    "a hold on something else": lambda clip, seq: "UPDATE holds SET value = '0'",
    "a hold that is gone": lambda clip, seq: "DELETE FROM holds",
    "a label": lambda clip, seq: f"INSERT INTO labels (clip, event) VALUES ({clip}, {seq})",
    "a changed label": lambda clip, seq: f"UPDATE labels SET important = 0, event = {seq}",
    "a label that is gone": lambda clip, seq: "DELETE FROM labels",
    "a closed case": lambda clip, seq: f"INSERT INTO cases VALUES ('LN-1', 1, {seq})",
    "rules": lambda clip, seq: f"INSERT INTO rulesets VALUES ({seq}, '[]', 'in-force', {seq})",
    "rules that end": lambda clip, seq: f"UPDATE rulesets SET state = 'over', event = {seq}",
    "rules that are gone": lambda clip, seq: "DELETE FROM rulesets",
}


@pytest.mark.parametrize("what", RAW)
def test_the_database_takes_nothing_of_it_without_its_entry_from_a_raw_connection_either(
    house: House, what: str
) -> None:
    clip = house.clip()
    house.say("label", clips=clip, important="yes")
    house.say("hold-set", scope="clip", value=clip)
    seq = house.catalog.write(lambda tx: door.note(tx, "tick", clip, {}))
    other = house.clip("2")
    with closing(sqlite3.connect(house.catalog.path)) as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute(RAW[what](other if what == "a label" else clip, seq))


def test_commands_that_only_read_see_it_beside_the_agent(house: House) -> None:
    clip = house.clip()
    hold = house.say("hold-set", scope="clip", value=clip)["hold"]
    with closing(sqlite3.connect(house.catalog.path)) as db:
        assert [one.id for one in holds.in_force(db)] == [hold]
        assert holds.standing(db, holds.in_force_one(db, hold)).clips == 1
