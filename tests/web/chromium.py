"""A real Chromium for tests of the page: what size it has, what is opened in it, what it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.web import conftest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_chromium = [
    pytest.mark.component,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are needed"),
    pytest.mark.timeout(240),
]
"""Marks of a module that asks for the fixture `browser`."""
until = partial(conftest.until, period_s=0.1)
"""Asking a browser takes 10 ms of three processes: asking all the time would keep a core busy."""
DESKTOP, PHONE = (1280, 800), (390, 844)


@contextmanager
def started() -> Iterator[Chrome]:
    """A browser without a window; skips the test where selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync",
    ):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def size(browser: Chrome, width: int, height: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def open_page(browser: Chrome, address: str, at: tuple[int, int] = DESKTOP) -> None:
    """A page that remembers nothing of an earlier test; not yet alive."""
    browser.get("about:blank")  # whatever was shown before is over
    size(browser, *at)
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {
        "origin": address.rstrip("/"), "storageTypes": "local_storage"
    })  # fmt: skip
    browser.get(address)


def show(browser: Chrome, address: str, at: tuple[int, int] = DESKTOP) -> None:
    """A page that is alive."""
    open_page(browser, address, at)
    until(lambda: script(browser, "!!(globalThis.rsuPage && rsuPage.live)"), 60)


def text(browser: Chrome, place: str) -> str:
    """What can be read in an element, by its CSS selector."""
    # In one go: the page makes its panels anew several times a second.
    return str(
        browser.execute_script("return document.querySelector(arguments[0]).innerText", place)
    )


def script(browser: Chrome, code: str) -> object:
    """The value of an expression of the page."""
    return browser.execute_script(f"return {code}")
