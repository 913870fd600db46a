"""One list for all stations: each finds its row, and what is wrong is told with row and column."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config, load
from agent.config.targets import FolderTarget
from agent.errors import Stop
from agent.image import fetch, fleet
from agent.image.machine import Machine, mac_of, serial_of, this_machine
from agent.image.own import Fleet
from agent.image.report import Report
from tests.image_house import MAC, SERIAL, House

HEADER = "mac,serial,name,target.kind,target.path,slots,note\n"
MINE = f"{MAC},,东站1,folder,/mnt/centre/a,A1=pci-1;A2=pci-2,third floor\n"
OTHER = "aa:aa:aa:aa:aa:01,,北站,folder,/mnt/centre/b,,\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "root")
    made.lay("station.yaml", "station: {name: stand-in}\nupload: {uploaders: 3}\n")
    return made


def _folder(config: Config) -> FolderTarget:
    target = config.targets["centre"]
    assert isinstance(target, FolderTarget)
    return target


def said(house: House) -> list[tuple[str, object, object]]:
    return [
        (p["key"], p["params"].get("row", p["params"].get("rows")), p["params"].get("column"))
        for p in house.problems()
    ]


def test_a_row_gives_name_target_and_slots_over_the_common_file(house: House) -> None:
    house.lay("stations.csv", HEADER + OTHER + MINE)
    assert house.boot() == []
    config = load(house.paths.station)
    assert (config.station.name, config.upload.uploaders) == ("东站1", 3)
    assert _folder(config).path == Path("/mnt/centre/a")
    assert {name: slot.port for name, slot in config.dock.slots.items()} == {"A1": "pci-1", "A2": "pci-2"}
    assert house.paths.fleet_config.read_text().startswith("# From row 3 of stations.csv")
    assert house.system.host_name.startswith("station-1-")


@pytest.mark.parametrize(
    "written",
    [
        (HEADER + OTHER + MINE).replace("\n", "\r\n").encode("utf-8-sig"),  # Excel: CSV UTF-8
        (HEADER + OTHER + MINE).encode("gbk"),  # Excel on a Chinese Windows: CSV
        (HEADER + OTHER + MINE).replace(",", "\t").encode("utf-16"),  # Excel: Unicode text
        f'mac;name;target.kind;target.path;slots\n{MAC};东站1;folder;/x;"A1=pci-1;A2=pci-2"\n'.encode(),
        b"sep=,\r\n" + (HEADER + OTHER + MINE).encode(),
        (HEADER + OTHER + MINE).replace(MAC, MAC.upper().replace(":", "-")).encode(),
    ],
)
def test_a_list_is_read_as_spreadsheets_save_it(house: House, written: bytes) -> None:
    house.lay("stations.csv", written)
    assert house.boot() == []
    config = load(house.paths.station)
    assert config.station.name == "东站1"
    assert list(config.dock.slots) == ["A1", "A2"]


def test_a_board_is_known_by_its_serial_whatever_its_letters(house: House) -> None:
    house.lay("stations.csv", f"serial,name\nother,x\n{SERIAL.lower()},by-serial\n")
    assert house.boot() == []
    assert load(house.paths.station).station.name == "by-serial"


def test_two_rows_for_one_machine_are_told_and_none_is_used(house: House) -> None:
    house.lay("stations.csv", f"mac,serial,name\n{MAC},,one\n\n,{SERIAL},two\n")
    assert house.boot() == ["fleet-twice"]
    assert said(house) == [("fleet-twice", [2, 4], None)]
    assert load(house.paths.station).station.name == "stand-in"


def test_no_row_is_told_with_the_numbers_to_put_into_the_list(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.image.own._PORTS", 0)
    house.lay("stations.csv", HEADER + OTHER + "nonsense,,x,,,,\n")
    assert house.boot() == ["fleet-cell", "fleet-no-row"]
    params = house.problems()[1]["params"]
    assert (params["macs"], params["serials"]) == ([MAC], [SERIAL.lower()])
    assert not house.paths.fleet_config.exists()


def test_network_ports_that_come_up_late_are_waited_for(house: House) -> None:
    house.lay("stations.csv", HEADER + MINE)
    coming = iter([Machine(frozenset(), frozenset()), Machine(frozenset({MAC}), frozenset())])
    house.boot()
    report = Report()
    Fleet(house.paths, house.system, report, lambda: next(coming), False, sleep=lambda _: None).lay()
    assert report.keys() == []
    assert house.paths.fleet_config.exists()


@pytest.mark.parametrize(
    ("header", "row", "column", "words"),
    [
        ("mac,target.kind,target.path", f"{MAC},folder,clips", "target.path", "absolute path"),
        ("mac,target.kind,target.path", f"{MAC},ftp,/x", "target.kind", "'folder'"),
        ("mac,target.path", f"{MAC},/x", "target.kind", "is missing"),
        ("mac,target.kind,target.path,target.pth", f"{MAC},folder,/x,y", "target.pth", "`path`?"),
        ("mac,target.kind,target.path,target.local", f"{MAC},folder,/x,maybe", "target.local", "`true`"),
        ("mac,name", f"{MAC},{'x' * 65}", "name", "too long"),
        ("mac,language", f"{MAC},fr", "language", "'zh' or 'en'"),
        ("mac,ntp", f"{MAC},a b;-c", "ntp", "time server"),
        ("mac,slots", f"{MAC},A1=x;A2=x", "slots", "slot `A1` already"),
        ("mac,slots", f"{MAC},A1=x;A1=y", "slots", "twice"),
        ("mac,slots", f"{MAC},../station", "slots", "name of a file"),
        ("mac,slots", f"{MAC},rack", "slots", "no slots/rack.yaml"),
        ("mac,ca", f"{MAC},agency", "ca", "no ca/agency.pem"),
        ("mac,naem", f"{MAC},x", "naem", "not known"),
    ],
)
def test_a_wrong_cell_is_told_with_its_column_and_hurts_nothing_else(
    house: House, header: str, row: str, column: str, words: str
) -> None:
    house.lay("stations.csv", f"{header},station-note\n".replace(",station-note", ",note") + f"{row},\n")
    assert house.boot() == ["fleet-cell"]
    problem = house.problems()[0]["params"]
    assert (problem["file"], problem["column"]) == ("stations.csv", column)
    assert problem["row"] == (1 if "not known" in words else 2)
    assert words in problem["fault"]
    assert load(house.paths.station).targets == {}


def test_a_number_that_the_spreadsheet_spoilt_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.image.own._PORTS", 0)
    house.lay("stations.csv", "serial,name\n1.00E+15,x\n")
    assert house.boot() == ["fleet-cell", "fleet-no-row"]
    assert said(house)[0] == ("fleet-cell", 2, "serial")


def test_a_switch_in_capitals_is_a_switch(house: House) -> None:
    house.lay("stations.csv", f"mac,target.kind,target.path,target.local\n{MAC},folder,/srv/x,TRUE\n")
    assert house.boot() == []
    assert _folder(load(house.paths.station)).local


def test_text_that_yaml_reads_otherwise_stays_text(house: House) -> None:
    for name in ("110", "no", "2024-01-01", "0x1F", "1:30", "a: b", "#x", "*"):
        house.lay("stations.csv", f'mac,name\n{MAC},"{name}"\n')
        assert house.boot() == []
        assert load(house.paths.station).station.name == name


def test_a_slot_map_of_its_own_serves_many_stations(house: House) -> None:
    house.lay("stations.csv", f"mac,slots\n{MAC},rack-16\n")
    house.lay("slots/rack-16.yaml", 'A1: "pci-1"\ncards: {port: "pci-2", reader: true}\n')
    assert house.boot() == []
    assert load(house.paths.station).dock.slots["cards"].reader
    house.lay("slots/rack-16.yaml", 'A1: "pci-1"\nA2: *x\n')
    assert house.boot() == ["fleet-slot-map"]
    assert house.problems()[0]["params"]["line"] == 2


def test_a_station_has_the_authority_of_its_row_else_the_common_one(house: House) -> None:
    common, own = certificate(house, "common"), certificate(house, "own")
    house.lay("ca.pem", common)
    house.lay("ca/agency.pem", own)
    assert house.boot() == []
    assert house.paths.ca.read_bytes() == common
    house.lay("stations.csv", f"mac,ca\n{MAC},agency\n")
    assert house.boot() == []
    assert house.paths.ca.read_bytes() == own


def certificate(house: House, name: str) -> bytes:
    key = house.paths.root / f"{name}.key"
    key.write_bytes(house.system.run(["openssl", "genpkey", "-algorithm", "ed25519"]))
    return house.system.run(["openssl", "req", "-x509", "-key", str(key), "-subj", f"/CN={name}"])


# at an intranet address


def test_a_fetched_list_counts_and_is_kept_for_a_start_without_network(house: House) -> None:
    house.lay("fleet.url", "http://intranet/stations.csv\r\n")
    house.lay("stations.csv", f"mac,name\n{MAC},on-the-partition\n")
    assert house.boot() == ["fleet-unreachable"]
    assert load(house.paths.station).station.name == "on-the-partition"
    house.list_at_intranet = f"mac,name\n{MAC},fetched\n".encode()
    assert house.boot(only_fleet=True) == []
    assert load(house.paths.station).station.name == "fetched"
    house.list_at_intranet = Stop("fleet-unreachable", url="http://intranet/", reason="no network")
    assert house.boot() == ["fleet-unreachable"]
    assert load(house.paths.station).station.name == "fetched"


def test_a_page_that_is_no_list_is_neither_believed_nor_kept(house: House) -> None:
    house.lay("fleet.url", "[InternetShortcut]\r\nURL=https://intranet/stations.csv\r\n")
    house.list_at_intranet = f"mac,name\n{MAC},fetched\n".encode()
    house.boot()
    house.list_at_intranet = b"<html><body>Log in, please</body></html>"
    assert house.boot() == ["fleet-no-table"]
    assert load(house.paths.station).station.name == "fetched"


def test_fetching_anew_keeps_the_problems_of_the_boot(house: House) -> None:
    house.lay("authorized_keys", "nonsense\n")
    house.lay("fleet.url", "http://intranet/stations.csv\n")
    assert sorted(house.boot()) == ["boot-bad-ssh-key", "fleet-unreachable"]
    house.list_at_intranet = f"mac,name\n{MAC},fetched\n".encode()
    assert house.boot(only_fleet=True) == ["boot-bad-ssh-key"]


class Intranet(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/list")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (fetch.LARGEST + 1) if self.path == "/huge" else b"mac,name\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def intranet() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Intranet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_list_is_fetched(intranet: str) -> None:
    assert fetch.fetched(f"{intranet}/list", None) == b"mac,name\n"


def test_what_is_too_large_elsewhere_or_away_is_a_problem(intranet: str) -> None:
    for path, key in (("huge", "boot-file-too-large"), ("moved", "fleet-unreachable")):
        with pytest.raises(Stop) as caught:
            fetch.fetched(f"{intranet}/{path}", None)
        assert caught.value.key == key
    with pytest.raises(Stop) as caught:
        fetch.fetched("http://it:geheim@127.0.0.1:9/list?token=geheim", None)
    assert caught.value.params == {"url": "http://127.0.0.1:9/list", "reason": "Connection refused"}


# who am I


@pytest.mark.parametrize(
    ("written", "mac"),
    [
        ("00-1A-2B-3C-4D-5E", MAC),
        ("001a2b3c4d5e", MAC),
        ("001a.2b3c.4d5e", MAC),
        (" 00:1a:2b:3c:4d:5e\n", MAC),
        ("00:00:00:00:00:00", ""),
        ("00:1a:2b:3c:4d", ""),
        ("00:1a:2b:3c:4d:5g", ""),
        ("", ""),
    ],
)
def test_a_mac_address_is_known_however_it_is_written(written: str, mac: str) -> None:
    assert mac_of(written) == mac


@pytest.mark.parametrize(
    "placeholder",
    [
        *("To be filled by O.E.M.", "Default string", "System Serial Number", "None", "N/A", "0000000"),
        *("xxxxxx", "123456789", "", "  ", "Not Specified", "INVALID"),
    ],
)
def test_what_makers_leave_in_place_of_a_serial_names_no_machine(placeholder: str, tmp_path: Path) -> None:
    assert serial_of(placeholder) == ""
    house = House(tmp_path)
    house.sys("firmware/devicetree/base/serial-number", placeholder)
    house.sys("class/dmi/id/board_serial", "  AB 123\n")
    assert this_machine(tmp_path).serials == {"ab 123"}


def test_a_machine_that_tells_nothing_is_nobody(tmp_path: Path) -> None:
    assert this_machine(tmp_path) == Machine(frozenset(), frozenset())
    assert not fleet.is_own(fleet.Row(2, {"mac": "", "serial": "", "name": "x"}), this_machine(tmp_path))


@given(st.text())
def test_no_list_raises_anything_but_a_problem(text: str) -> None:
    report = Report()
    try:
        for row in fleet.rows("mac,slots,target.path\n" + text, "x", report):
            fleet.configuration(row, Path("/nonexistent"), "x", report)
    except Stop as error:
        assert error.key.startswith("fleet-")
