"""The dashboard in a real browser: on a wide screen, on a phone, in light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from cashback.database import Database
from cashback.domain.ports import utc_now
from cashback.services import Actor, AdminService, Source
from tests import npm
from tests.cashback.dashboard.conftest import ADA, ADMIN_ROLE, DashboardFixture, Guild, dashboard_settings, serving
from tests.conftest import LedgerFixture, raw

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PAYEES = 5_000
FAILING = 4_321
SECONDS = 30
AXE = "axe-core@4.14.1"
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "disable-dev-shm-usage"),
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromium-driver are not installed"
)


@dataclass
class Desktop:
    """A browser, and a dashboard that is served in another thread."""

    driver: Chrome
    site: DashboardFixture
    portal: BlockingPortal

    def open(self, path: str) -> None:
        """Load a page."""
        self.driver.get(self.site.address + path)

    def press(self, name: str) -> None:
        """Press a button by its id, when it appears."""
        passing = (NoSuchElementException, StaleElementReferenceException)
        wait = WebDriverWait(self.driver, SECONDS, 0.05, ignored_exceptions=passing)

        def pressed(driver: Any) -> bool:  # noqa: ANN401 -- the library's own generic
            driver.find_element(By.ID, name).click()
            return True

        wait.until(pressed)

    @property
    def text(self) -> str:
        """Return the text of the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def shows(self, *words: str) -> None:
        """Wait until the page shows all these words."""
        wait = WebDriverWait(self.driver, SECONDS, 0.05)
        wait.until(lambda _: all(word in self.text for word in words), f"{words} did not appear")

    def browser_errors(self) -> list[Any]:
        """Return the browser's warnings and errors since the last call."""
        lines: list[Any] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # the library's own
        return [line for line in lines if line["level"] != "INFO"]

    def sign_in(self) -> None:
        """Sign in with a new link."""
        self.driver.get(self.portal.call(self.site.link, ADA))
        self.press("sign-in-button")
        self.shows("Pending now")


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """Serve a dashboard with many payees, one of which cannot be paid, and open a browser."""
    folder = tmp_path_factory.mktemp("browser")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"user-data-dir={folder / 'profile'}", "window-size=1280,1000"):
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        path = folder / "cashback.db"
        database = stack.enter_context(portal.wrap_async_context_manager(Database(path)))
        ledger = LedgerFixture(database, utc_now)
        portal.call(ledger.earn_all, [(person, 100 + person) for person in range(1, PAYEES + 1)])
        with raw(path) as file:
            file.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE OF wallet_balance_cents ON users"
                f" WHEN NEW.discord_id = {FAILING} BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        settings = dashboard_settings(path, chunk_size=50)
        site = stack.enter_context(portal.wrap_async_context_manager(serving(database, settings, Guild(), ledger)))
        driver = Chrome(options=options, service=Service(DRIVER))
        stack.callback(driver.quit)
        opened = Desktop(driver, site, portal)
        opened.sign_in()
        yield opened


def test_batch_is_proposed_confirmed_watched_and_retried(desktop: Desktop) -> None:
    desktop.press("propose-button")
    desktop.shows("Confirm: pay", f"{PAYEES:,} referrers")
    desktop.press("confirm-button")
    # The page is live: it shows the batch's progress without being loaded again.
    desktop.shows("completed with failures", f"to {PAYEES - 1:,} referrers", "Retry 1 failed payout")
    with raw(desktop.site.ledger.path) as file:
        file.execute("DROP TRIGGER refuse")
    desktop.press("retry-button")
    # The whole sentence, because the audit entries still mention the failures.
    desktop.shows("This batch is completed.", f"to {PAYEES:,} referrers")
    assert desktop.site.ledger.balance(FAILING) == 100 + FAILING
    assert desktop.browser_errors() == []


def test_payout_is_found_and_all_are_downloaded(desktop: Desktop, tmp_path: Path) -> None:
    desktop.open("/batches/1")
    field = desktop.driver.find_element(By.ID, "referrer")
    field.send_keys("77")
    desktop.press("find-button")
    desktop.shows("$1.77")
    links = [link.text for link in desktop.driver.find_elements(By.CSS_SELECTOR, "#payouts tbody th a")]
    assert links == ["77"]
    folder = Path(desktop.driver.capabilities["chrome"]["userDataDir"]).parent
    desktop.driver.find_element(By.LINK_TEXT, "Download CSV").click()
    WebDriverWait(desktop.driver, SECONDS).until(lambda _: list(folder.glob("BATCH-*.csv")))
    [file] = folder.glob("BATCH-*.csv")
    copyfile(file, tmp_path / "payouts.csv")
    assert len((tmp_path / "payouts.csv").read_text().splitlines()) > PAYEES
    assert desktop.browser_errors() == []


@pytest.fixture(scope="module")
def waiting(desktop: Desktop) -> None:
    """Let a second batch wait for another admin. Its page is /batches/2, and an order of it is at /orders/order-1."""
    site = desktop.site
    strict = dashboard_settings(Path(site.ledger.path), approval_threshold_cents=1)
    service = AdminService(site.ledger.database, strict, lambda _number: 0)
    actor = Actor(source=Source.DASHBOARD, user_id=ADA, role_ids=frozenset({ADMIN_ROLE}))

    async def wait() -> None:
        await site.ledger.earn(77, 900)
        proposed = await service.propose(actor)
        assert proposed.batch_number == 2
        await service.approve(actor, 2)

    desktop.portal.call(wait)


PAGES = [
    "/",
    "/batches",
    "/batches?status=expired",
    "/batches/1",
    "/batches/2",
    "/orders/order-1",
    "/referrers",
    "/referrers/77",
    "/schedule",
    "/withdrawals",
    "/deliveries",
    "/wallets",
    "/orders",
    "/settings",
    "/search?q=nobody",
    "/audit",
    "/search?q=9",
    "/webhooks",
    "/referrers?show=blacklisted",
    "/api/docs",
]
UNKNOWN = "/referrers/123456"


@contextmanager
def of_width(desktop: Desktop, width: int) -> Iterator[None]:
    """Show pages as a screen of this width does; a narrow one is a phone's."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    desktop.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        desktop.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("path", PAGES)
def test_phone_shows_every_page_without_horizontal_scrolling(desktop: Desktop, path: str) -> None:
    with of_width(desktop, 360):
        desktop.open(path)
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert desktop.driver.execute_script(width) <= 0
    assert desktop.browser_errors() == []


def heights(desktop: Desktop, path: str, width: int) -> tuple[int, int]:
    """Load a page at a width; return its height, and how many ids and batch IDs are broken over lines."""
    with of_width(desktop, width):
        desktop.open(path)
        broken = (
            "return [...document.querySelectorAll('main .id, main td a, main th a')]"
            ".filter((each) => /^(@|BATCH|[0-9])/.test(each.textContent) && each.getClientRects().length > 1).length"
        )
        height = desktop.driver.execute_script("return document.documentElement.scrollHeight")
        return int(height), int(desktop.driver.execute_script(broken))


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("path", PAGES)
def test_phone_page_is_at_most_three_times_as_long_and_breaks_no_id(desktop: Desktop, path: str) -> None:
    wide, broken_wide = heights(desktop, path, 1400)
    narrow, broken = heights(desktop, path, 390)
    assert narrow <= 3 * wide
    assert (broken_wide, broken) == (0, 0)


def brightness(colour: str) -> int:
    """Add up a colour's red, green and blue."""
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_preferred_scheme(desktop: Desktop, scheme: str) -> None:
    use_scheme(desktop, scheme)
    desktop.open("/")
    body = desktop.driver.find_element(By.TAG_NAME, "body")
    ground, ink = (brightness(body.value_of_css_property(name)) for name in ("background-color", "color"))
    assert (ground < ink) is (scheme == "dark")


def use_scheme(desktop: Desktop, scheme: str) -> None:
    """Set the preferred colour scheme."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    desktop.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return axe-core's script, or skip if it cannot be fetched."""
    modules = npm.fetch(tmp_path_factory.mktemp("axe"), AXE)
    return (modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(desktop: Desktop, axe: str, scheme: str, width: int) -> None:
    use_scheme(desktop, scheme)
    found = {}
    with of_width(desktop, width):
        for path in (*PAGES, UNKNOWN):
            desktop.open(path)
            desktop.driver.execute_script(axe)
            said = desktop.driver.execute_async_script("axe.run().then(arguments[0])")
            found[path] = [
                (each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in said["violations"]
            ]
    # The browser logs the unknown page's status as an error.
    desktop.browser_errors()
    assert {path: violations for path, violations in found.items() if violations} == {}


def test_first_tab_stop_skips_to_the_content(desktop: Desktop) -> None:
    desktop.open("/batches/1")
    body = desktop.driver.find_element(By.TAG_NAME, "body")
    body.send_keys("\ue004")
    assert desktop.driver.switch_to.active_element.text == "Skip to content"
    desktop.driver.switch_to.active_element.send_keys("\ue007")
    assert desktop.driver.switch_to.active_element.get_attribute("id") == "main"


TAB, ENTER, SPACE = "\ue004", "\ue007", " "
OPERABLE = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("path", PAGES)
def test_tab_reaches_everything_that_can_be_operated_and_shows_the_focus(desktop: Desktop, path: str) -> None:
    desktop.open(path)
    desktop.driver.execute_script(
        "window.reached = new Set(); window.unseen = [];"
        "document.addEventListener('focusin', ({ target }) => {"
        " window.reached.add(target); const style = getComputedStyle(target);"
        " const isSeen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;"
        " if (!isSeen) window.unseen.push(target.outerHTML); });"
    )
    shown = f"[...document.querySelectorAll({OPERABLE!r})].filter((each) => each.checkVisibility() && !each.disabled)"
    # A field for a day has several stops; the last tabs go to the browser itself.
    stops = desktop.driver.execute_script(
        f"return {shown}.length + 4 * document.querySelectorAll('[type=date]').length + 2"
    )
    for kind in ("rawKeyDown", "keyUp") * int(stops):
        key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        desktop.driver.execute_cdp_cmd("Input.dispatchKeyEvent", key)
    missed = f"return {shown}.filter((each) => !window.reached.has(each)).map((each) => each.outerHTML)"
    assert desktop.driver.execute_script(missed) == []
    assert desktop.driver.execute_script("return window.unseen") == []


def type_at(desktop: Desktop, selector: str, keys: str) -> None:
    """Focus an element without the mouse, and type."""
    desktop.driver.execute_script("document.querySelector(arguments[0]).focus()", selector)
    desktop.driver.switch_to.active_element.send_keys(keys)


def test_keys_open_details_sort_filter_and_search(desktop: Desktop) -> None:
    desktop.open("/")
    type_at(desktop, "section details summary", SPACE)
    assert desktop.driver.execute_script("return document.querySelector('section details').open") is True
    desktop.open("/referrers?show=all")
    type_at(desktop, "th .sort", ENTER)
    assert desktop.driver.execute_script("return document.querySelector('th').ariaSort") == "descending"
    type_at(desktop, "#show", "bl" + TAB)
    type_at(desktop, "#find-button", SPACE)
    desktop.shows("The blacklist is empty")
    type_at(desktop, "[name=q]", "nobody-has-this-name" + ENTER)
    desktop.shows("Nothing was found")
    assert desktop.browser_errors() == []


def test_keys_skip_a_slot_only_if_the_question_is_answered_with_yes(desktop: Desktop) -> None:
    desktop.open("/schedule")
    type_at(desktop, ".slots button", ENTER)
    desktop.driver.switch_to.alert.dismiss()
    assert "Skipped" not in desktop.text
    type_at(desktop, ".slots button:not(:disabled)", ENTER)
    desktop.driver.switch_to.alert.accept()
    desktop.shows("Skipped", "Undo")
    type_at(desktop, "[action='/schedule/unskip'] button", SPACE)
    desktop.shows("Next slots")
    WebDriverWait(desktop.driver, SECONDS).until(lambda _: "Skipped" not in desktop.text)


@pytest.mark.parametrize("width", [1400, 390, 360])
def test_no_text_of_the_chart_is_cut_or_lies_over_another(desktop: Desktop, width: int) -> None:
    with of_width(desktop, width):
        desktop.open("/")
        boxes = desktop.driver.execute_script(
            "return [...document.querySelectorAll('.chart text')].filter((each) => each.checkVisibility())"
            ".map((each) => { const box = each.getBoundingClientRect();"
            " return [each.textContent, box.left, box.top, box.right, box.bottom]; })"
        )
    assert len(boxes) >= 5
    assert [text for text, left, _, right, _ in boxes if left < 0 or right > width] == []
    crossing = [
        (one[0], other[0])
        for place, one in enumerate(boxes)
        for other in boxes[:place]
        if one[1] < other[3] and other[1] < one[3] and one[2] < other[4] - 2 and other[2] < one[4] - 2
    ]
    assert crossing == []


@pytest.mark.parametrize("width", [1400, 390])
def test_skip_buttons_stand_beside_their_slots(desktop: Desktop, width: int) -> None:
    with of_width(desktop, width):
        desktop.open("/schedule")
        beside = desktop.driver.execute_script(
            "return [...document.querySelectorAll('.slots li')].map((each) => {"
            " const [time, button] = [each.querySelector('time'), each.querySelector('button')]"
            ".map((part) => part.getBoundingClientRect());"
            " return time.right <= button.left && button.right <= innerWidth && time.top < button.bottom; })"
        )
    assert beside == [True] * 5
