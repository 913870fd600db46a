"""`/metrics` of a running station: what Prometheus' own programs say of it, and what is documented of it."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.model import SlotState
from agent.status.health import Issue, Severity
from tests import here
from tests.scraping import Scrape, metrics_in, parsed, queries
from tests.servers.prometheus import CONFIG, RULES, Prometheus, listed, promtool
from tests.unit.test_docs import is_a_command
from tests.web.station import Station, collecting, every_state

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
DASHBOARD = CONFIG / "grafana" / "fleet.json"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
ROW = re.compile(r"^\| `(recorder_station_\w+|process_\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)
HOSTILE = ["1234567", 'A"1\\', "\u202eevil", "\udcff", "a\nb"]


def scrape(station: Station) -> Scrape:
    return parsed(station.get("/metrics").body.decode())


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    return found


def test_promtool_finds_nothing_wrong_with_what_a_station_exposes(station: Station) -> None:
    here.require("promtool")
    station.slots = every_state()
    answer = station.get("/metrics")
    assert (answer.status, answer.headers["content-type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert promtool("check", "metrics", given=answer.body.decode()) == ""


def test_who_asks_for_open_metrics_gets_that(station: Station) -> None:
    answer = station.get("/metrics", {"Accept": OPEN_METRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
    assert b"recorder_station_collected_bytes_total 0.0\n" in answer.body


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other(station: Station) -> None:
    station.health._checks["test"] = lambda: [Issue("disk-low", Severity.WARNING)]
    found = scrape(station)
    told = {
        name: (kind, {label for have, _ in found.samples[name] for label in have})
        for name, kind in found.types.items()
    }
    rows = ROW.findall(DOCS.read_text())
    assert {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == told
    assert len(rows) == len(told)


def test_slots_and_issues_are_counted_and_nobody_is_named(station: Station) -> None:
    station.slots = [collecting(slot) for slot in ("A1", "A2")]
    station.slots.append(collecting("A3", state=SlotState.COLLECTED))
    names = "a", "b"
    station.health._checks["test"] = lambda: [
        Issue("target-down", Severity.WARNING, {"target": name}, name) for name in names
    ]
    found = scrape(station)
    assert found.value("slots", state="collecting") == 2
    assert found.value("slots", state="collected") == 1
    assert found.value("slots", state="empty") == 0
    assert found.value("health_issues", key="target-down", severity="warning") == 2
    text = station.get("/metrics").body.decode()
    assert not re.search("8888888|000123|recorder=|officer=|clip=", text)


def test_a_station_that_is_not_ready_yet_says_so(station: Station) -> None:
    station.waiting_for = ["dock"]
    assert scrape(station).value("ready") == 0


def test_every_alert_and_every_panel_asks_for_what_is_there(station: Station) -> None:
    there = set(scrape(station).types) | {"up"}
    alerts = [rule["expr"] for rule in rules()]
    panels = [query for query in queries(json.loads(DASHBOARD.read_text())) if query != "prometheus"]
    panels = [re.sub(r"^label_values\((.*), \w+\)$", r"\1", query) for query in panels]
    assert len(alerts) > 10
    assert len(panels) > 20
    for query in alerts + panels:
        assert metrics_in(query), query
        assert metrics_in(query) <= there, query


def test_the_names_in_a_query_are_found() -> None:
    query = (
        'sum by (name, state) (rate(one_total{state=~"two|three"}[5m])) / on (job) four unless max(five) > 6'
    )
    assert metrics_in(query) == {"one_total", "four", "five"}


def test_the_queries_of_the_dashboard_are_sound(tmp_path: Path) -> None:
    here.require("promtool")
    found = queries(json.loads(DASHBOARD.read_text()))
    exprs = [query for query in found if query != "prometheus" and not query.startswith("label_values")]
    plain = [expr.replace("$__rate_interval", "5m").replace("$name", ".*") for expr in exprs]
    recorded = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(plain)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"{len(plain)} rules found" in promtool("check", "rules", file)


def test_each_alert_fires_when_it_should_and_a_station_that_is_well_fires_none() -> None:
    here.require("promtool")
    file = CONFIG / "prometheus" / "recorder-station.test.yaml"
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", file)
    firing = set(re.findall(r'ALERTS\{alertname="(\w+)", alertstate="firing"', file.read_text()))
    assert firing == {rule["alert"] for rule in rules()}
    well = yaml.safe_load(file.read_text())["tests"][0]
    asked = {name for rule in rules() for name in metrics_in(rule["expr"])}
    assert asked <= {series["series"].partition("{")[0] for series in well["input_series"]}


def test_the_example_of_a_scrape_configuration_is_one(tmp_path: Path) -> None:
    here.require("promtool")
    text = (CONFIG / "prometheus" / "scrape.example.yaml").read_text()
    for file, content in (
        ("fleet-ca.pem", ""),
        ("recorder-station.token", "x"),
        ("recorder-station.rules.yaml", ""),
    ):
        (tmp_path / file).write_text(content)
    text = text.replace("/etc/prometheus", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(text)
    promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
    [job] = yaml.safe_load(text)["scrape_configs"]
    assert (job["job_name"], job["scheme"], job["metrics_path"]) == ("recorder-station", "https", "/metrics")
    assert all(
        'job="recorder-station"' in rule["expr"] for rule in rules() if "up" in metrics_in(rule["expr"])
    )


def test_every_alert_says_in_both_languages_what_to_do_and_the_runbook_says_the_same() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    alerts = rules()
    assert rows == [
        (rule["alert"], rule["labels"]["severity"], rule["annotations"]["action"]) for rule in alerts
    ]
    for rule in alerts:
        said = rule["annotations"]
        for name in ("summary", "description", "action"):
            assert said[name], rule["alert"]
            assert not re.search("[\u4e00-\u9fff]", said[name]), rule["alert"]
            assert re.search("[\u4e00-\u9fff]", said[f"{name}_zh"]), rule["alert"]
            places = re.findall(r"\{\{.*?\}\}", said[name])
            assert sorted(places) == sorted(re.findall(r"\{\{.*?\}\}", said[f"{name}_zh"])), rule["alert"]


def test_every_command_that_an_alert_names_is_real() -> None:
    texts = [text for rule in rules() for text in rule["annotations"].values()]
    named = [shlex.split(one) for text in texts for one in re.findall(r"`recorder-station ([^`]+)`", text)]
    assert len(named) > 10
    for words in named:
        is_a_command(words)


@pytest.fixture
def server(station: Station, tmp_path: Path) -> Iterator[Prometheus]:
    here.require("prometheus")
    with Prometheus(tmp_path / "prometheus", listed(f"127.0.0.1:{station.server.port}")) as running:
        yield running


def test_a_real_prometheus_scrapes_a_station_and_reads_the_sample_back(
    station: Station, server: Prometheus
) -> None:
    station.slots = [collecting(slot) for slot in HOSTILE]
    found = server.until('recorder_station_slots{state="collecting"} == 5')
    assert found["metric"]["name"] == "test"
    assert found["metric"]["station"] == "1" * 32
    assert server.until("recorder_station_target_up == 0")["metric"]["target"] == "city"
    assert float(server.until("up")["value"][1]) == 1
