"""The admin page at a real station, over TLS: what each role sees of it and does with it."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.office import OFFICER, OTHER, RECORDER, Office, go, login, there, until
from tests.browser.screen import PATIENCE, Screen

Look = Callable[..., Screen]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as made:
        made.collect()
        yield made


def test_who_does_not_know_the_password_is_told_and_stays_outside(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = screen.page
    expect(page.locator("h1")).to_have_text("登录")
    assert screen.faults() == ""
    page.locator("input[name=name]").fill("li")
    page.locator("input[name=password]").fill("not the one at all")
    page.locator("form .order").click()
    expect(page.locator("[role=alert]")).to_be_visible()
    assert page.locator("nav").is_hidden()
    assert "8880001" not in page.content()


@pytest.mark.parametrize(
    ("name", "views"),
    [
        ("li", "rack clips holds dockings handin findings health"),
        ("sun", "rack clips holds dockings handin findings health settings"),
        ("wu", "rack clips holds dockings health settings"),
        ("zhou", "rack clips dockings handin findings health"),
    ],
)
def test_everybody_is_offered_what_is_theirs_and_can_use_it(
    look: Look, office: Office, name: str, views: str
) -> None:
    screen = look(office.address)
    page = login(screen, name)
    offered = [link.get_attribute("href") for link in page.locator("nav a").all()]
    assert offered == [f"#{view}" for view in views.split()]
    for view in views.split():
        shown = go(page, view)
        assert screen.faults() == "", view
        assert shown.locator("[role=alert]:visible").count() == 0, view
        expect(page.locator("nav a[aria-current=page]")).to_have_attribute("href", f"#{view}")


def test_the_rack_is_live_and_what_is_old_is_not_shown(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    screen.until("A1", "confirmed", "已入库")
    office.agent.pull("A2", OTHER)
    screen.until("A2", "empty", "空闲")
    page.context.set_offline(True)
    expect(page.locator("[data-view=rack] [role=alert]")).to_be_visible(timeout=PATIENCE)
    assert page.locator(".tile .state").first.is_hidden()
    page.context.set_offline(False)
    expect(page.locator(".tile .state").first).to_be_visible(timeout=PATIENCE)


def test_clips_are_found_by_what_is_known_of_them(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    shown = go(page, "clips")
    rows = shown.locator("tbody tr")
    expect(rows).to_have_count(7)
    for field, value, count in (
        ("recorder", OTHER, 1), ("recorder", "", 7), ("officer", "999999", 0), ("officer", OFFICER, 7),
        ("since", "2026-01-15T09:00", 1), ("until", "2026-01-15T08:30", 0), ("since", "", 3),
    ):  # fmt: skip
        shown.locator(f".search [name={field}]").fill(value)
        shown.locator(".search .order").click()
        expect(rows).to_have_count(count)
    shown.locator(".search [name=until]").fill("")
    shown.locator(".search [name=important]").select_option("true")
    shown.locator(".search .order").click()
    expect(rows).to_have_count(2)
    shown.locator(".search [name=state]").select_option("seen")
    shown.locator(".search .order").click()
    expect(rows).to_have_count(0)
    assert screen.faults() == ""


def test_many_clips_are_labelled_at_once(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    shown = go(page, "clips")
    labels = shown.locator(".labels")
    expect(labels.locator(".order")).to_be_disabled()
    for at in (0, 1):
        shown.locator("tbody input[type=checkbox]").nth(at).check()
    labels.locator("[name=case]").fill("(2026)01-17")
    labels.locator("[name=reason]").fill("立案")
    labels.locator(".order").click()
    expect(labels.locator(".done")).to_be_visible()
    shown.locator(".search [name=case]").fill("(2026)01-17")
    shown.locator(".search .order").click()
    expect(shown.locator("tbody tr")).to_have_count(2)
    assert screen.faults() == ""


def test_a_hold_is_set_by_one_and_lifted_by_two(look: Look, office: Office) -> None:
    li, zhao = look(office.address), look(office.address)
    page = login(li, "li")
    shown = go(page, "holds")
    setting = shown.locator("form", has=page.locator("[name=scope]"))
    setting.locator("[name=scope]").select_option("recorder")
    setting.locator("[name=value]").fill(RECORDER)
    setting.locator("[name=reason]").fill("调查")
    setting.locator(".order").click()
    expect(setting.locator(".done")).to_be_visible()
    expect(shown.locator("tbody tr")).to_have_count(1)
    shown.locator("tbody button").click()
    lifting = shown.locator("section").first
    lifting.locator("[name=reason]").fill("已结束")
    lifting.locator(".order").click()
    expect(lifting.locator(".done")).to_contain_text("第二人")
    expect(shown.locator("tbody tr")).to_have_count(1)
    assert li.faults() == ""
    number = re.findall("编号 ([0-9]+)", lifting.locator(".done").inner_text())[0]
    agreeing = shown.locator("form", has=page.locator("[name=asked]"))
    agreeing.locator("[name=asked]").fill(number)
    agreeing.locator(".order").click()
    expect(agreeing.locator("[role=alert]")).to_be_visible()  # nobody agrees with themselves
    other = login(zhao, "zhao")
    shown = go(other, "holds")
    expect(shown.locator("tbody tr")).to_have_count(1)
    agreeing = shown.locator("form", has=other.locator("[name=asked]"))
    agreeing.locator("[name=asked]").fill(number)
    agreeing.locator(".order").click()
    expect(agreeing.locator(".done")).to_be_visible()
    expect(shown.locator("tbody tr")).to_have_count(0)


def test_a_clips_whole_story_is_told_and_the_look_is_in_it(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    clip = office.clips()[0]
    go(page, "clips").locator(f"a[href='#clip/{clip}']").click()
    shown = there(page, "clip")
    events = shown.locator("section").last.locator("tbody tr")
    expect(events.last).to_contain_text("li 查看了")
    assert events.count() >= 6
    expect(shown.locator("details")).to_have_count(1)
    assert screen.faults() == ""
    shown.locator("dl button").click()
    expect(page.locator("dialog pre")).to_contain_text(RECORDER)
    assert screen.faults() == ""
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_the_other_language_is_no_other_look(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    page.goto(f"{office.address}#clip/{office.clips()[0]}")
    rows = there(page, "clip").locator("section").last.locator("tbody tr")
    before = rows.count()
    page.locator("#language").click()
    expect(page.locator("h1")).to_contain_text("all that is known")
    there(page, "clip")
    expect(rows.last).to_contain_text("li looked at its story")
    assert rows.count() == before
    page.reload()
    there(page, "clip")
    expect(rows).to_have_count(before + 1)


def test_a_recording_plays_and_a_broken_one_says_so(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    whole, *_, broken = office.clips()
    page.goto(f"{office.address}#clip/{whole}")
    shown = there(page, "clip")
    shown.locator("section button").first.click()
    video = shown.locator("video")
    expect(video).to_be_visible()
    until(video, "(video) => video.readyState >= 2")
    video.evaluate("(video) => { video.muted = true; return video.play(); }")
    until(video, "(video) => video.currentTime > 0.05")
    assert screen.faults() == ""
    page.goto(f"{office.address}#clip/{broken}")
    shown = there(page, "clip")
    expect(shown.locator("video")).to_have_count(0)
    shown.locator("section button").first.click()
    expect(shown.locator(".screen [role=alert]")).to_be_visible()
    expect(shown.locator("video")).to_have_count(0)
    assert screen.faults() == ""


def test_a_slot_is_stopped_with_a_reason_and_used_again_without_docking_anew(
    look: Look, office: Office
) -> None:
    screen = look(office.address)
    page = login(screen, "wu")
    stop, use = "A3：停用", "A3：恢复使用"
    office.agent.dock(OTHER, "A3")
    screen.until("A3", "confirmed")
    office.agent.pull("A3", OTHER)
    tile = screen.until("A3", "empty")
    assert tile.get_by_role("button", name=use).is_hidden()
    tile.get_by_role("button", name=stop).click()
    stopping = page.locator(".stopping")
    stopping.locator("[name=reason]").fill("线缆损坏")
    assert screen.faults() == ""
    stopping.locator(".order").click()
    expect(stopping.locator(".done")).to_contain_text("A3")
    tile = screen.until("A3", "out-of-use", "停用")
    expect(tile.locator(".icon")).to_be_visible()
    office.agent.dock(OTHER, "A3")
    expect(tile.locator(".problems")).to_contain_text("请换一个采集口", timeout=PATIENCE)
    assert screen.faults() == ""
    tile.get_by_role("button", name=use).click()
    screen.until("A3", "confirmed")
    office.agent.pull("A3", OTHER)
    screen.until("A3", "empty")


def test_an_administrator_reads_no_name_and_opens_no_clip(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "wu")
    for view in ("rack", "clips", "holds", "dockings", "health"):
        text = go(page, view).inner_text()
        assert (
            RECORDER not in text.replace(f"{RECORDER}\n", "", 1) if view == "rack" else RECORDER not in text
        ), view
        assert OFFICER not in text, view
    assert page.locator("a[href^='#clip/']").count() == 0
    clip = office.clips()[0]
    page.goto(f"{office.address}#clip/{clip}")
    shown = there(page, "clip")
    expect(shown.locator("[role=alert]")).to_be_visible()
    assert page.locator("video, section").count() == 0


def test_who_is_bound_to_a_unit_sees_nothing_of_others(look: Look, office: Office) -> None:
    page = login(look(office.address), "qian")
    assert go(page, "clips").locator("tbody tr").count() == 0
    assert go(page, "dockings").locator("tbody tr").count() == 0


def test_the_language_is_changed_by_a_button_and_kept(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    go(page, "dockings")
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("Dockings")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator("h1")).to_have_text("Dockings")
    assert screen.faults() == ""


def test_a_session_that_ended_leads_to_the_login(look: Look, office: Office) -> None:
    for address in (office.address, office.at_rack):
        screen = look(address)
        page = login(screen, "sun")
        go(page, "clips")
        page.context.clear_cookies()
        page.locator("nav a[href='#dockings']").click()
        expect(page.locator("[data-view=login]")).to_be_visible()
        expect(page.locator("[role=alert]")).to_contain_text("会话已结束")
        assert page.locator("nav").is_hidden()
        assert screen.faults() == ""


def test_an_address_that_means_nothing_leads_to_the_rack(look: Look, office: Office) -> None:
    page = login(look(office.address), "wu")
    for wrong in ("%", "clip/x", "settings/../clip", "constructor", "story", "clip"):
        go(page, "health")
        page.goto(f"{office.address}#{wrong}")
        there(page, "settings" if wrong.startswith("settings") else "rack")


def test_who_logs_out_leaves_nothing_behind(look: Look, office: Office) -> None:
    page = login(look(office.address), "sun")
    go(page, "settings")
    expect(page.locator("[data-view=settings]")).to_contain_text("store.path")
    page.locator("#logout").click()
    expect(page.locator("[data-view=login]")).to_be_visible()
    assert "store.path" not in page.content()
    assert page.context.cookies() == []


def test_all_of_it_is_reached_by_keys_alone(look: Look, office: Office) -> None:
    page = login(look(office.address), "li")
    page.reload()
    there(page, "rack")
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.locator("nav a[href='#clips']").focus()
    page.keyboard.press("Enter")
    there(page, "clips")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("h1")).to_have_text("录像")


def test_names_on_a_recorder_are_only_ever_text(look: Look, office: Office) -> None:
    slot, number = "<b onclick=alert(1)>", "8880003"
    office.agent.recorder(number, clips=1, size=60_000)
    (office.agent.shelf / number / "<img src=x onerror=alert(2)>\u202e\n.mp4").write_bytes(bytes(70_000))
    office.agent.dock(number, slot)
    office.agent.until_confirmed(9)
    screen = look(office.address)
    page = login(screen, "sun")
    expect(page.locator(".tile h2").first).to_have_text(slot)
    for view in ("clips", "dockings"):
        shown = go(page, view)
        if view == "clips":
            expect(shown.locator("tbody")).to_contain_text("<img src=x onerror=alert(2)>\\u202e\\n.mp4")
        assert page.locator("tbody b, main img").count() == 0
    (clip,) = [row["id"] for row in office.agent.clips() if "onerror" in row["path"]]
    page.goto(f"{office.address}#clip/{clip}")
    expect(there(page, "clip").locator("dl")).to_contain_text("<img src=x")
    assert page.locator("main img").count() == 0
    assert screen.faults() == ""
