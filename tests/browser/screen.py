"""A page in Chromium, and what can be seen on it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Locator, expect

PATIENCE = 60_000.0  # milliseconds until a test gives up; never the time that something should take
#: Counts beeps, and lets them sound all the same.
_LISTEN = """
window.beeps = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.beeps += 1; return start.apply(this, when); };
"""
#: Nothing that could be taken for "you may go".
PROMISES = ".tile .icon, .tile .state, .tile .leave, .tile .moments, .tile .progress, .tile .duty"


class Screen:
    def __init__(self, browser: Browser, address: str, width: int, height: int) -> None:
        # A station's own certificate is its own authority in tests; who it is, is not what is looked at here.
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", ignore_https_errors=True
        )
        self._context.set_default_timeout(PATIENCE)
        self.page = self._context.new_page()
        self._home = address.split("/", 3)[2]
        self._elsewhere = list[str]()
        self._dialogs = list[str]()
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("dialog", self._told)
        self.page.add_init_script(_LISTEN)
        self.page.goto(address)

    def _asked(self, url: str) -> None:
        if url.split("/", 3)[2] != self._home:
            self._elsewhere.append(url)

    def _told(self, dialog: Dialog) -> None:
        self._dialogs.append(dialog.message)
        dialog.dismiss()

    def close(self) -> None:
        self._context.close()
        assert (self._elsewhere, self._dialogs) == ([], [])

    def tile(self, slot: str) -> Locator:
        return self.page.locator(f".tile[data-slot='{slot}']")

    def until(self, slot: str, step: str, says: str = "") -> Locator:
        """The slot's tile, once it shows `step` and says so."""
        tile = self.tile(slot)
        expect(tile).to_have_attribute("data-step", step, timeout=PATIENCE)
        if says:
            expect(tile.locator(".state")).to_contain_text(says, timeout=PATIENCE)
        return tile

    def until_banner(self, *says: str) -> None:
        for text in says:
            expect(self.page.locator("#banner")).to_contain_text(text, timeout=PATIENCE)

    def promises(self) -> list[str]:
        """What is seen of states, anywhere."""
        return [one.text_content() or "" for one in self.page.locator(PROMISES).all() if one.is_visible()]

    @property
    def beeps(self) -> int:
        return int(self.page.evaluate("window.beeps"))

    def faults(self) -> str:
        """What keeps people from using it, by axe; "" when nothing does."""
        found = Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    def fits(self) -> bool:
        """Nothing is to be scrolled for, and no tile lies beside the screen."""
        return bool(
            self.page.evaluate(
                """() => document.documentElement.scrollHeight <= innerHeight
                  && [...document.querySelectorAll(".tile")].every((tile) => {
                    const box = tile.getBoundingClientRect();
                    return box.left >= 0 && box.top >= 0 && box.right <= innerWidth
                      && box.bottom <= innerHeight;
                  })"""
            )
        )
