"""A real station in a real browser: what an officer sees from docking to pulling, and in trouble."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect

from scripts.demo_process import HOST, free_ports
from tests.agent_process import IMPATIENT, Agent, order_faults
from tests.browser.screen import PATIENCE, Screen

Look = Callable[..., Screen]
SLOT = "8880001"
MIB = 1 << 20
COMMAND = ("receipt", "--docking", "1", "--lang", "en")


class Station:
    """An agent and its kiosk."""

    def __init__(self, folder: Path, look: Look, **sections: object) -> None:
        (port,) = free_ports(1)
        self.address = f"http://{HOST}:{port}/kiosk"
        sections = {"web": {"listen": f"{HOST}:{port}"}, "station": {"language": "zh"}, **sections}
        self.agent = Agent(folder, patch=IMPATIENT, **sections)  # type: ignore[arg-type]
        self._look = look

    def __enter__(self) -> "Station":
        self.agent.up()
        self.screen: Screen = self._look(self.address)
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.kill()

    def record(self, number: str, *, clips: int = 6, size: int = 300_000, slow: bool = False) -> None:
        files = self.agent.recorder(number, clips=clips, size=size)
        if slow:
            order_faults(self.agent.shelf / number, files, "R", block=64 << 10)


@pytest.fixture
def station(tmp_path: Path, look: Look) -> Station:
    return Station(tmp_path, look)


def test_from_docking_to_the_centre_while_that_is_down_and_away(station: Station) -> None:
    with station:
        agent, screen = station.agent, station.screen
        expect(screen.page.locator("#room")).to_have_text("没有插入记录仪。")
        station.record(SLOT, clips=6, size=6 * MIB, slow=True)
        about = agent.shelf / SLOT / ".recorder.yaml"
        told = {"battery": 96, "free": 60 << 30, "total": 64 << 30, "clock_off": 2.0}
        about.write_text(about.read_text() + yaml.safe_dump(told))
        aside = agent.centre.with_name("aside")
        agent.centre.rename(aside)
        agent.dock(SLOT)
        tile = screen.until(SLOT, "collecting", "采集中")
        expect(tile.locator(".leave")).to_have_text("已接收 可离开", timeout=PATIENCE)
        expect(tile.locator(".value").first).to_have_text(SLOT)
        assert screen.faults() == ""
        tile = screen.until(SLOT, "collected", "已采集 可取走")
        expect(tile.locator(".moments li.past")).to_have_count(2)
        expect(tile.locator(".duty")).to_contain_text("可领用 · 电量 96%")
        expect(screen.page.locator("#health")).to_contain_text("centre", timeout=PATIENCE)
        assert screen.faults() == ""
        aside.rename(agent.centre)
        tile = screen.until(SLOT, "confirmed", "已入库 可取走")
        expect(tile.locator(".moments li.past")).to_have_count(3)
        tile.locator(".open").click()
        code = screen.page.locator("dialog .receipt")
        expect(code).to_have_js_property("complete", True, timeout=PATIENCE)
        expect(code).to_be_visible(timeout=PATIENCE)
        assert agent.run(*COMMAND).returncode == 0  # there is one, by the same number
        screen.page.locator("dialog .close").click()
        agent.pull(SLOT)
        screen.until(SLOT, "empty", "空闲")
        assert screen.beeps == 0


def test_who_is_pulled_early_is_named_with_what_is_missing_until_the_next_docking(station: Station) -> None:
    with station:
        agent, screen = station.agent, station.screen
        station.record(SLOT, clips=3, size=6 * MIB, slow=True)
        agent.dock(SLOT)
        screen.until(SLOT, "collecting", "0/3")
        agent.pull(SLOT)
        tile = screen.until(SLOT, "pulled-early", "提前拔出 （剩余 3）")
        expect(tile.locator(".value").first).to_have_text(SLOT)
        expect(tile.locator(".problems")).to_contain_text("请重新插入")
        assert screen.faults() == ""
        assert screen.beeps == 1
        (agent.shelf / SLOT / ".faults.yaml").unlink()
        agent.dock(SLOT)
        screen.until(SLOT, "confirmed")


def test_a_full_station_receives_nobody_and_says_where_to_go(tmp_path: Path, look: Look) -> None:
    with Station(tmp_path, look, store={"reserve": "1000 TiB"}) as station:
        agent, screen = station.agent, station.screen
        station.record(SLOT)
        agent.dock(SLOT)
        tile = screen.until(SLOT, "incomplete")
        screen.until_banner("本采集站已满，请换一台采集站")
        expect(tile.locator(".problems")).to_contain_text("记录仪中的录像完好")
        assert not tile.locator(".leave").is_visible()
        status = agent.status()
        assert status is not None and status["slots"][0]["received"] is None
        assert screen.faults() == ""


def test_a_killed_agent_leaves_nothing_on_the_screen_and_comes_back_by_itself(station: Station) -> None:
    with station:
        agent, screen = station.agent, station.screen
        station.record(SLOT)
        agent.dock(SLOT)
        screen.until(SLOT, "confirmed")
        agent.kill()
        screen.until_banner("采集站没有应答", "请勿取走记录仪")
        assert screen.promises() == []
        assert screen.faults() == ""
        agent.up()
        screen.until_banner("采集站已重新启动")
        screen.until(SLOT, "confirmed", "已入库 可取走")
        assert screen.promises() != []


def test_names_on_a_recorder_are_only_ever_text(station: Station) -> None:
    slot, clip = "<b onclick=alert(1)>", "<img src=x onerror=alert(2)>\u202e\n.mp4"
    with station:
        agent, screen = station.agent, station.screen
        station.record(SLOT, clips=1)
        (agent.shelf / SLOT / clip).write_bytes(bytes(200_000))
        order_faults(agent.shelf / SLOT, [Path(clip)], "E")
        agent.dock(SLOT, slot)
        tile = screen.page.locator(".tile")
        expect(tile).to_have_attribute("data-step", "incomplete", timeout=PATIENCE)
        expect(tile.locator("h2")).to_have_text(slot)
        expect(tile.locator(".problems")).to_contain_text("<img src=x onerror=alert(2)>\\u202e\\n.mp4")
        assert screen.page.locator(".tile b, .tile img").count() == 0
        assert screen.faults() == ""
