"""A station that keeps and lets go, over real files: catalog, uploads to a folder, labels, holds, rules,
release; and an account of its own of what must not go, by which every release is judged.
"""

import math
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, door, intake
from agent.clock import Clock, Stamp
from agent.config import RetentionConfig
from agent.custody.texts import Texts
from agent.errors import Transient
from agent.model import Identity, SourceClip
from agent.retention.book import Book, follow, take_over
from agent.retention.clockwatch import ClockWatch, suspended
from agent.retention.commands import Commands
from agent.retention.explain import explain
from agent.retention.release import Release
from agent.upload.targets.folder import FolderTarget
from tests import newborn
from tests.retaining import config
from tests.uploading import Station, content, manifest_of

DAY = 86400.0
BEGIN = datetime(2026, 11, 25, 18).timestamp()
GRACE = DAY
RULES: tuple[dict[str, Any], ...] = (
    {},
    {"classes": {"ordinary": {"centre": "30 days", "local": "3 days"}}},
    {"classes": {"ordinary": {"local": "60 days"}}},
    {"rules": {"traffic": {"gives": "important", "category": "traffic"}}},
    {
        "classes": {"long": {"centre": "900 days", "local": "90 days"}},
        "rules": {"a": {"gives": "long", "case": "A*"}},
    },
)


class Killed(BaseException):
    """The agent ends here: nothing of it runs any more."""


class Centre(FolderTarget):
    """Can be down."""

    down = False

    def _share(self, *given: Any) -> Any:
        if self.down:
            raise Transient("no-connection")
        return super()._share(*given)


@dataclass
class Account:
    """Of one clip, kept outside the catalog."""

    recorder: str
    officer: str
    recorded: datetime | None
    docked: float
    marked: bool
    data: bytes
    key: str
    case: str = ""
    category: str = ""
    important: str = ""
    confirmed: float | None = None  # when, by a clock that is right
    spoilt: float | None = None  # since when the centre does not have it as it was

    @property
    def is_important(self) -> bool:
        return self.important == "yes" or (self.marked and self.important == "")


@dataclass
class Hold:
    scope: str
    value: str
    since: str = ""
    until: str = ""

    def may_cover(self, clip: int, account: Account) -> bool:
        """Whoever wrote the hold wants all of these, and in doubt more."""
        if self.scope == "officer":
            return self.value == account.officer and self._in_time(account)
        return (
            self.value == {"clip": str(clip), "recorder": account.recorder, "case": account.case}[self.scope]
        )

    def _in_time(self, account: Account) -> bool:
        docked = datetime.fromtimestamp(account.docked)
        times = [docked, account.recorded or docked]
        before = bool(self.until) and min(times) > datetime.fromisoformat(self.until)
        after = bool(self.since) and max(times) < datetime.fromisoformat(self.since)
        return not (before or after)


@dataclass
class Said:
    """Outside the catalog, too."""

    clips: dict[int, Account] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    jumped: bool = False  # and nobody has confirmed the clock since
    vouched: float | None = None  # how far the clock was ahead of what had passed, when somebody confirmed it


class House:
    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random, self.said = root, random.Random(seed), Said()
        self.now, self.mono, self.trusted, self.disk = BEGIN, 1000.0, True, (100, 100, 0)
        self.right = BEGIN  # what the clock should say
        (root / "share").mkdir()
        newborn.lay(root / "catalog.db")
        self.target = Centre("centre", root / "share", first_contact=True)
        self.kill_in = -1  # files that may still be removed before the agent ends; below zero: all
        self.sets: list[RetentionConfig] = []  # that may protect: all since the last confirmation
        self.seen = 0
        self.config = self._config(0)
        self.sets.append(self.config)

    # the agent

    def start(self) -> None:
        self.station = Station(self.root, {"centre": self.target})
        self.station.clock.epoch = 0.0
        self.catalog: Catalog = self.station.catalog
        self.book = Book()
        self.station.uploads = self.station.make_uploads(lock=self.book.lock)
        self.clock = Clock(lambda: self.trusted, lambda: self.now, lambda: self.mono)
        self.watch = ClockWatch(self.catalog, self.clock, lambda: self.mono)
        self.release = Release(
            self.catalog, self.book, self._path, lambda: self.disk, lambda: self.config, lambda: ["centre"],
            self.watch.now,
        )  # fmt: skip
        texts = Texts(self.root)
        self.commands = Commands(self.catalog, self.book, texts, self.watch).all()
        follow(self.catalog, self.config, faulty=False)

    def _config(self, number: int) -> RetentionConfig:
        return config(**RULES[number], release=True, two_persons=False, cooling_off="0 s", most_affected=100)

    def configure(self, number: int) -> None:
        self.config = self._config(number)
        self.sets.append(self.config)
        take_over(self.catalog, self.config)

    def restart(self) -> None:
        self.station.close()
        self.kill_in = -1
        self.start()

    def _path(self, key: str) -> Path:
        if self.kill_in == 0:
            raise Killed
        self.kill_in -= 1
        return self.station.path(key)

    def stamp(self) -> Stamp:
        return self.clock.stamp()

    def say(self, command: str, **arguments: Any) -> Any:
        said = {name: str(value) for name, value in arguments.items()}
        return self.commands[command]({"person": "Wang", "reason": "why", **said}, "wang")

    # what happens

    def dock(self) -> None:
        number = len(self.said.clips)
        who = Identity(self.random.choice(["R1", "R2"]), True, "F", self.random.choice(["P1", "P2"]))
        recorded = self.random.choice(
            [None, datetime(1980, 1, 1), datetime(2099, 1, 1), *(self._ago(hours) for hours in (1, 9, 400))]
        )
        data, marked = content(64 + number), self.random.random() < 0.2
        source = SourceClip(f"{number}", len(data), 5, important=marked, recorded_at=recorded)
        manifest, key = manifest_of(data), f"{who.recorder}/2026-01-01/{number}"
        path = self.station.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

        def work(tx: Any) -> int:
            docking = intake.begin_docking(tx, "A1", who)
            clip = intake.see(tx, docking, who, [source])[0]
            intake.start(tx, [clip], docking)
            intake.describe(tx, clip, manifest, key, b"samples")
            intake.store(tx, [clip])
            return clip

        clip = self.catalog.write(work)
        self.said.clips[clip] = Account(who.recorder, who.officer, recorded, self.right, marked, data, key)

    def _ago(self, hours: float) -> datetime:
        return datetime.fromtimestamp(self.right - hours * 3600)

    def send(self) -> None:
        self.station.clock.now = self.mono
        self.station.clock.epoch = self.now - self.mono
        before = {clip: self._last_confirmed(clip) for clip in self.said.clips}
        self.station.run()
        for clip, event in before.items():
            if self._last_confirmed(clip) != event:
                self.said.clips[clip].confirmed = self.right

    def _last_confirmed(self, clip: int) -> int | None:
        query = "SELECT max(seq) FROM events WHERE clip = ? AND kind = 'confirmed'"
        (event,) = self.catalog.read().execute(query, (clip,)).fetchone()
        return event  # type: ignore[no-any-return]

    def wait(self, seconds: float) -> None:
        self.now, self.mono, self.right = self.now + seconds, self.mono + seconds, self.right + seconds

    def label(self) -> None:
        clip = self.random.choice(list(self.said.clips))
        account, field_ = self.said.clips[clip], self.random.choice(["case", "category", "important"])
        value = self.random.choice(
            {"case": ["A1", "A2", "B"], "category": ["traffic", ""], "important": ["yes", "no", ""]}[field_]
        )
        self.say("label", clips=clip, **{field_: value})
        setattr(account, field_, value)

    def hold(self) -> None:
        clip = self.random.choice(list(self.said.clips))
        hold = self.random.choice(
            [
                Hold("clip", str(clip)),
                Hold("recorder", "R1"),
                Hold("case", "A1"),
                Hold("officer", "P1"),
                Hold("officer", "P2", self._ago(48).isoformat(), ""),
                Hold("officer", "P2", "", self._ago(48).isoformat()),
            ]
        )
        number = self.say("hold-set", scope=hold.scope, value=hold.value, since=hold.since, until=hold.until)[
            "hold"
        ]
        self.said.holds[number] = hold

    def lift(self) -> None:
        number = self.random.choice(list(self.said.holds))
        self.say("hold-lift", hold=number)
        del self.said.holds[number]

    def close_case(self) -> None:
        case = self.random.choice(["A1", "A2", "B"])
        self.say("case-open" if case in self.said.closed else "case-close", case=case)
        self.said.closed ^= {case}

    def confirm_rules(self) -> None:
        self.say("rules-confirm")
        self.sets = [self.config]

    def spoil(self) -> None:
        """The centre loses a clip, or has other bytes in its place."""
        clip = self.random.choice(list(self.said.clips))
        account = self.said.clips[clip]
        path = self.root / "share" / "clips" / account.key
        if not path.exists() or account.spoilt is not None:
            return
        if self.random.random() < 0.5:
            path.unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(bytes([account.data[0] ^ 1]) + account.data[1:])
        account.spoilt = self.right

    def jump(self) -> None:
        """A time server that is wrong, and is trusted."""
        self.now += self.random.choice([3650, -700, 400]) * DAY
        self.said.jumped = True

    def mend_clock(self) -> None:
        """It may be that somebody has to say so."""
        self.now = self.right
        if self.watch.now() is None and suspended(self.catalog.read()) and self.trusted:
            self.say("clock-confirm")
            self.said.vouched = self.now - self.mono
        # It is where it was, also where nobody keeps it yet: that is enough, unless a restart lies between.
        self.said.jumped = self.clock.jumped is not None and math.isinf(self.clock.jumped)

    def tick(self) -> None:
        """Something happens at a time that is believed, as it does on every station every day."""
        self.catalog.write(lambda tx: door.note(tx, "tick", None, {}))

    def let_go(self) -> None:
        self.kill_in = self.random.choice([-1, -1, 0, 1, 2])
        try:
            self.release.step()
        except Killed:
            self.judge()
            self.restart()
        self.kill_in = -1
        self.judge()

    # the judge

    def judge(self) -> None:
        """Everything that went since the last look could go; everything else is here as it was."""
        db = self.catalog.read()
        rows = db.execute(
            "SELECT seq, clip, json_extract(body, '$.early') FROM events WHERE kind = 'released' AND seq > ?",
            (self.seen,),
        ).fetchall()
        for seq, clip, early in rows:
            self.seen = seq
            self._may_go(clip, bool(early))
        for clip, account in self.said.clips.items():
            if self.station.state(clip) != "released":
                assert self.station.path(account.key).read_bytes() == account.data

    def _may_go(self, clip: int, early: bool) -> None:
        account = self.said.clips[clip]
        held = [hold for hold in self.said.holds.values() if hold.may_cover(clip, account)]
        assert not held, f"clip {clip} went under a hold: {held}"
        vouched = self.said.vouched == self.now - self.mono
        assert self.trusted or vouched, f"clip {clip} went by a clock that nobody trusts"
        assert not self.said.jumped, f"clip {clip} went by a clock that had jumped"
        confirmed = account.confirmed
        assert confirmed is not None, f"clip {clip} was never confirmed"
        local = max(self._local(one, account) for one in self.sets)
        assert self.right - confirmed >= (GRACE if early else local), f"clip {clip} went too early"
        assert not early or self.disk[0] < 10, f"clip {clip} went early although there was room"
        there = self.root / "share" / "clips" / account.key
        intact = there.exists() and there.read_bytes() == account.data
        since = account.spoilt if account.spoilt is not None else -1.0
        assert intact or since >= self.right - DAY, f"clip {clip} went, and the centre does not have it"

    def _local(self, kept: RetentionConfig, account: Account) -> float:
        """How long it stays here, worked out anew and without haste."""
        classes, periods = kept.every_class, [kept.every_class["ordinary"].local]
        if account.is_important:
            periods.append(classes["important"].local)
        if account.case:
            periods.append(classes["case"].local)
        if "traffic" in kept.rules and account.category == "traffic":
            periods.append(classes["important"].local)
        if "a" in kept.rules and account.case.startswith("A"):
            periods.append(classes["long"].local)
        return max(periods)

    def why(self, clip: int) -> object:
        db = self.catalog.read()
        found = explain(db, clip, self.book.keeping(db), self.now, self.trusted, ["centre"])
        return found.row, found.hinders, self.now

    def close(self) -> None:
        self.station.close()
        shutil.rmtree(self.root)


Step = Callable[[House], None]
STEPS: tuple[tuple[int, Step], ...] = (
    (6, House.dock),
    (6, House.send),
    (2, lambda house: house.wait(3600)),
    (4, lambda house: house.wait(house.random.choice([1, 4, 31, 61, 200]) * DAY)),
    (3, House.label),
    (2, House.hold),
    (2, House.lift),
    (1, House.close_case),
    (2, lambda house: house.configure(house.random.randrange(len(RULES)))),
    (1, House.confirm_rules),
    (1, House.spoil),
    (1, House.jump),
    (2, House.mend_clock),
    (1, lambda house: setattr(house, "trusted", not house.trusted)),
    (1, lambda house: setattr(house.target, "down", not house.target.down)),
    (1, lambda house: setattr(house, "disk", house.random.choice([(100, 100, 0), (5, 100, 0)]))),
    (1, House.restart),
    (8, House.let_go),
)
