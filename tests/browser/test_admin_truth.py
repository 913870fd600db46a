"""The admin page shows nothing that is not so: not another one's, not what was a while ago, not what was only
ordered. And nobody looks at a clip without a step of their own."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.office import RECORDER, Office, go, login, there
from tests.browser.screen import PATIENCE, Screen
from tests.web.outside import PASSWORD

Look = Callable[..., Screen]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as made:
        made.collect()
        yield made


def looks(office: Office, clip: int) -> list[str]:
    """Who looked at it, and at what of it."""
    told = office.order("view", clip=str(clip), what="story", person="a test")
    seen = [
        one["body"] for one in told["events"] if one["kind"] == "viewed" and one["body"]["who"] != "uid 0"
    ]
    return [f"{one['who']} {one['what']}" for one in seen if not one["who"].startswith("uid ")]


def enter(page: Page, name: str) -> None:
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form .order").click()


def test_who_comes_next_sees_nothing_of_who_was_there_and_looks_at_nothing(
    look: Look, office: Office
) -> None:
    page, clip = login(look(office.address), "li"), office.clips()[1]
    shown = go(page, "clips")
    shown.locator(".search [name=case]").fill("(2026) secret")
    shown.locator(".search .order").click()
    page.goto(f"{office.address}#clip/{clip}")
    expect(there(page, "clip")).to_contain_text(RECORDER)
    page.locator("#logout").click()
    enter(page, "qian")  # of another unit
    there(page, "rack")
    assert looks(office, clip) == ["li story"]
    page.goto(f"{office.address}#clip/{clip}")
    expect(there(page, "clip").locator("[role=alert]")).to_be_visible()
    page.locator("#language").click()
    expect(page.locator("h1")).to_contain_text("all that is known")
    expect(there(page, "clip")).not_to_contain_text(RECORDER)
    assert page.locator("[data-view=clip] section").count() == 0
    assert go(page, "clips").locator(".search [name=case]").input_value() == ""
    page.locator("#language").click()


def test_an_address_from_elsewhere_is_no_look_before_a_step(look: Look, office: Office) -> None:
    screen, clip = look(office.address), office.clips()[2]
    page = login(screen, "li")
    page.goto("about:blank")
    screen._elsewhere.clear()
    page.goto(f"{office.address}#clip/{clip}")
    shown = there(page, "clip")
    expect(shown.locator("button")).to_have_count(1)
    assert screen.faults() == ""
    page.locator("#language").click()
    expect(page.locator("h1")).to_contain_text("all that is known")
    page.locator("#language").click()
    expect(page.locator("h1")).to_contain_text("全部")
    assert looks(office, clip) == []
    there(page, "clip").locator("button").press("Enter")
    expect(page.locator("[data-view=clip]")).to_contain_text(RECORDER)
    assert looks(office, clip) == ["li story"]


def test_another_ones_login_in_the_same_browser_ends_what_is_shown(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    go(page, "clips")
    other = page.context.new_page()
    other.goto(office.address)
    there(other, "rack")
    other.locator("#logout").click()
    enter(other, "qian")
    there(other, "rack")
    page.bring_to_front()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-view=login]")).to_be_visible(timeout=PATIENCE)
    assert RECORDER not in page.content()


def test_who_cannot_be_logged_out_is_told_so(look: Look, office: Office) -> None:
    page = login(look(office.address), "sun")
    page.route("**/api/v1/session", lambda route: route.abort())
    page.locator("#logout").click()
    expect(page.locator("[role=alert]")).to_contain_text("会话可能仍在继续")
    page.unroute("**/api/v1/session")
    page.reload()
    there(page, "rack")  # it was so


def test_a_hold_is_shown_as_the_station_has_it_whatever_became_of_the_order(
    look: Look, office: Office
) -> None:
    page, clip = login(look(office.address), "li"), str(office.clips()[3])
    shown = go(page, "holds")
    setting = shown.locator("form", has=page.locator("[name=scope]"))

    def order(value: str) -> None:
        setting.locator("[name=value]").fill(value)
        setting.locator("[name=reason]").fill("调查")
        setting.locator(".order").click()

    order("no number")
    expect(setting.locator("[role=alert]")).to_be_visible()
    assert shown.locator("tbody tr").count() == 0

    def lost(route: Route) -> None:
        """The station carries it out; the answer never comes."""
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/holds*", lost)
    order(clip)
    expect(setting.locator("[role=alert]")).to_contain_text("不知道是否已执行")
    expect(shown.locator("tbody tr")).to_have_count(1)
    page.unroute("**/api/v1/holds*")

    def fails(route: Route) -> None:
        if route.request.method == "GET":
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/holds*", fails)
    order(str(office.clips()[4]))
    expect(setting.locator(".done")).to_be_visible()  # it was set, though the list cannot be had
    expect(shown.locator(".pages [role=alert]")).to_be_visible()
    assert shown.locator("tbody tr").count() == 0  # what was so before is not shown as if it were now


def test_a_page_that_comes_late_does_not_take_the_place_of_what_was_asked_for_last(
    look: Look, office: Office
) -> None:
    page = login(look(office.address), "li")
    held = list[Route]()
    every = page.request.get(f"{office.address}api/v1/clips").json()["clips"]

    def answer(route: Route) -> None:
        if "recorder=late" in route.request.url and "cursor" not in route.request.url:
            held.append(route)
        else:
            shown = every[:1] if "cursor" in route.request.url else every
            route.fulfill(status=200, body=json.dumps({"clips": shown, "next": "more"}))

    page.route("**/api/v1/clips?*", answer)
    shown = go(page, "clips")
    rows = shown.locator("tbody tr")
    expect(rows).to_have_count(len(every))
    shown.locator(".search [name=recorder]").fill("late")
    shown.locator(".search .order").click()
    shown.locator(".turn button").click()
    expect(rows).to_have_count(1)
    expect(shown.locator(".scroll")).to_be_focused()  # the button that was pressed is gone
    held[0].fulfill(status=200, body=json.dumps({"clips": [], "next": None}))
    expect(shown.locator(".search .order")).to_be_enabled()
    assert rows.count() == 1


def test_labels_are_shown_as_soon_as_they_are_said(look: Look, office: Office) -> None:
    page = login(look(office.address), "li")
    shown = go(page, "clips")
    shown.locator("tbody input[type=checkbox]").first.check()
    shown.locator(".labels [name=category]").fill("交通")
    shown.locator(".labels [name=reason]").fill("更正")
    shown.locator(".labels .order").click()
    expect(shown.locator("tbody tr").first).to_contain_text("交通")
    expect(shown.locator(".labels .order")).to_be_disabled()  # none is marked any more


def test_a_preview_says_why_it_cannot_go_on(look: Look, office: Office) -> None:
    page, clip = login(look(office.address), "li"), office.clips()[0]
    page.goto(f"{office.address}#clip/{clip}")
    shown = there(page, "clip")
    page.route("**/api/v1/views/*", lambda route: route.continue_(url=route.request.url[:-43] + "x" * 43))
    shown.locator("section button").first.click()
    expect(shown.locator(".screen [role=alert]")).to_contain_text("查看已结束")
    page.unroute("**/api/v1/views/*")
    page.route("**/api/v1/views/*", lambda route: route.abort())
    shown.locator("section button").first.click()
    expect(shown.locator(".screen [role=alert]")).to_contain_text("没有应答")
    page.unroute("**/api/v1/views/*")
    shown.locator("section button").first.click()
    expect(shown.locator("video")).to_be_visible()


def test_a_film_ends_with_the_session(look: Look, office: Office) -> None:
    page, clip = login(look(office.address), "li"), office.clips()[0]
    page.goto(f"{office.address}#clip/{clip}")
    shown = there(page, "clip")
    shown.locator("section button").first.click()
    expect(shown.locator("video")).to_be_visible()
    page.evaluate("window.film = document.querySelector('video')")
    page.context.clear_cookies()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-view=login]")).to_be_visible()
    assert page.locator("video").count() == 0
    assert page.evaluate("[film.paused, film.hasAttribute('src')]") == [True, False]


def test_two_clicks_are_one_look(look: Look, office: Office) -> None:
    page, clip = login(look(office.address), "li"), office.clips()[1]
    page.goto(f"{office.address}#clip/{clip}")
    shown = there(page, "clip")
    before = looks(office, clip).count("li recording")
    shown.locator("section button").first.dblclick()
    expect(shown.locator("video")).to_be_visible()
    assert looks(office, clip).count("li recording") == before + 1


def test_while_the_agent_is_away_nothing_of_the_rack_is_shown_and_then_a_login(
    look: Look, office: Office
) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    screen.until("A1", "confirmed")
    office.agent.kill()
    try:
        expect(page.locator("[data-view=rack] > [role=alert]")).to_be_visible(timeout=PATIENCE)
        assert page.locator(".tile .state").first.is_hidden()
        go_to = page.locator("nav a[href='#health']")
        go_to.click()
        expect(page.locator("[data-view=health] [role=alert], [role=alert]").first).to_be_visible()
    finally:
        office.agent.up()
    expect(page.locator("[data-view=login]")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[role=alert]")).to_contain_text("会话已结束")
