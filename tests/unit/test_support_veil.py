"""What names somebody, or is a secret, is covered in whatever form it comes; what is needed is not."""

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import Catalog
from agent.support import named
from agent.support.named import Occurring
from agent.support.veil import Veil, names_in


@pytest.mark.parametrize(
    "kept",
    [
        "slot A1: no progress for 60 s; it is disconnected",
        "pci-0000:00:14.0-usb-0:3.2 at 480 Mbit/s, 0bda:0411",
        'File "/usr/lib/recorder-station/agent/ingest/collect.py", line 33, in run',
        "/var/lib/recorder-station/catalog/catalog.db is read-only",
        "target-unreachable: [Errno 111] Connection refused, 127.0.0.1:8080",
        "Linux 6.12.3-arch1-1 x86_64, 4 MiB/s, Debian GNU/Linux",
        "token-lost: the transfer begins anew; key differs",
    ],
)
def test_what_a_maintainer_needs_stays(kept: str) -> None:
    assert Veil().text(kept) == kept


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("docked 8888888 with 123456", ["8888888", "123456"]),
        ("clips/A12/2026-01-01/a12_0001.MP4 and b.jpg", ["a12_0001", "b.jpg"]),
        ("DCIM/100MEDIA/Wang Wei 7.mov", ["Wei 7", "7.mov"]),
        ("officer 张三 of 南山派出所", ["张三", "南山"]),
        (r"officer \u5f20\u4e09, b'\xe5\xbc\xa0', \345\274\240", [r"\u5f20", r"\xe5", r"\345"]),
        ("https://bob:hunter2@host.example/x?sig=abcd&n=1", ["bob", "hunter2", "=abcd"]),
        ("password: hunter2, aws_secret_access_key=abc/def+g", ["hunter2", "abc/def"]),
        ("Authorization: Bearer abc.def.ghi", ["abc.def"]),
        ('{"token": "s3cr3t"}', ["s3cr3t"]),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\nAwBQ\n-----END PRIVATE KEY----- x", ["MC4CAQ", "AwBQ"]),
        ("-----BEGIN EC PRIVATE KEY-----\nMC4CAQ cut off", ["MC4CAQ"]),
        ("mail wang@police.example from aa:bb:cc:dd:ee:ff", ["wang", "police", "aa:bb"]),
        ("AKIAIOSFODNN7EXAMPLE", ["AKIA"]),
    ],
)
def test_what_looks_like_a_name_or_a_secret_is_covered(said: str, gone: list[str]) -> None:
    shown = Veil().text(said)
    assert [part for part in gone if part in shown] == []


def test_what_is_known_is_covered_in_whatever_case_and_within_other_text() -> None:
    veil = Veil(["Li Wei", "AB12-CD34", "x1", "north unit"], ["correct horse"])
    shown = veil.text("li wei(LI WEI) of North Unit docked rec_ab12-cd34_x; x1 x12; Correct Horse")
    name = veil.name("Li Wei")
    assert shown == (
        f"{name}({name}) of {veil.name('north unit')} docked rec_{veil.name('AB12-CD34')}_x; "
        f"{veil.name('x1')} x12; (secret)"
    )


def test_a_name_has_one_stand_in_in_a_bundle_and_another_in_the_next() -> None:
    one, other = Veil(["8888888"]), Veil(["8888888"])
    stand_in = one.data({"recorder": "8888888"})["recorder"]
    assert one.text("recorder 8888888 docked") == f"recorder {stand_in} docked"
    assert one.data({"slots": [{"slot": "8888888"}]})["slots"][0]["slot"] == stand_in
    assert other.name("8888888") != stand_in


def test_fields_that_hold_names_are_covered_whatever_stands_in_them() -> None:
    veil = Veil()
    status = {
        "station": "north",
        "slots": [
            {
                "slot": "A1",
                "recorder": "ab",
                "officer": "li",
                "bytes_done": 12345678,
                "problems": [
                    {"key": "unreadable", "params": {"path": "dcim/wei.x", "bytes": 5, "kind": "eio"}}
                ],
            },
            {"slot": "wei", "recorder": ""},
        ],
    }
    shown = veil.data(status)
    assert shown["slots"][0] == {
        "slot": "A1",
        "recorder": veil.name("ab"),
        "officer": veil.name("li"),
        "bytes_done": 12345678,
        "problems": [
            {"key": "unreadable", "params": {"path": veil.name("dcim/wei.x"), "bytes": 5, "kind": "eio"}}
        ],
    }
    assert shown["slots"][1] == {"slot": veil.name("wei"), "recorder": ""}
    assert veil.data({"rules": {"case wei": {"gives": "wei"}}}) == {
        "rules": {veil.name("case wei"): {"gives": veil.name("wei")}}
    }
    assert set(names_in(status)) == {"north", "ab", "li", "", "wei"}


@given(st.lists(st.text(min_size=3), max_size=5), st.text(), st.text())
def test_no_known_name_is_left_and_no_text_makes_it_fail(names: list[str], before: str, after: str) -> None:
    veil = Veil(names)
    for name in names:
        shown = veil.text(f"{before} {name} {after}")
        assert name not in shown or name in f" {before} {after} " or len(name) <= 4 or "~" in name


def test_only_names_that_occur_are_kept_in_memory(tmp_path: Path) -> None:
    occurring = Occurring(["recorder RX-77 docked by li_wei_0001, state confirmed", "2026-01-01"])
    occurring.look(f"{number:07d}_0001.mp4" for number in range(200_000))
    occurring.look(["rx-77", "Li_Wei", "nobody", "confirmed", "2026-01-01", "by"])
    assert occurring.names == {"rx-77", "Li_Wei"}


def test_a_recordings_name_and_its_folders_are_found_wherever_they_occur() -> None:
    occurring = Occurring(["cannot read DCIM/Li Wei/Trip 7.xyz: EIO", "about 'trip 8' and Odd\\u202e.m"])
    occurring.look_at_paths(
        [
            b"DCIM/Li Wei/Trip 7.xyz",
            b"Zhao/Trip 8.abc",
            "Odd\u202e.m".encode(),
            b"DCIM/other.mp4",
            b"\xff\xfe.mp4",
        ]
    )
    assert occurring.names == {
        "Li Wei", "DCIM/Li Wei/Trip 7.xyz", "Trip 7.xyz", "Trip 7", "Trip 8", "Odd\\u202e.m",
        "Odd\\u202e",
    }  # fmt: skip


def test_every_text_of_the_catalog_is_known_unless_it_is_listed_as_harmless(tmp_path: Path) -> None:
    """A column that a later migration adds counts as a name until somebody says that it is none."""
    path = tmp_path / "catalog/catalog.db"
    Catalog.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE of_tomorrow (name TEXT, roles TEXT, made REAL)")
        db.execute(
            "INSERT INTO of_tomorrow VALUES ('Wang Wei', ?, 1)", (json.dumps(["custodian", {"u": "North"}]),)
        )
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {(table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")}
    db.close()
    assert set(named.of_catalog(tmp_path)) >= {"Wang Wei", "custodian", "North"}
    listed = {(table, column) for table, names in named._HARMLESS.items() for column in names}
    assert listed - columns == set()
    assert list(named.of_catalog(tmp_path / "none")) == []
