"""Debian's headless Chromium: one for all tests, cleared before each."""

import atexit
import os
import re
from pathlib import Path

from . import VENDOR, find

from selenium import webdriver  # isort: skip: `.` puts it on the path
from selenium.webdriver.chrome.service import Service  # isort: skip

Driver = webdriver.Chrome

# Before anything of the page: what breaks the rules is written where the console's errors are, so that no reload loses
# it, and what moves by itself is added up.
WATCH = """
addEventListener("securitypolicyviolation", ({effectiveDirective, blockedURI, sourceFile, lineNumber}) =>
    console.error(`content security policy: ${effectiveDirective} ${blockedURI} ${sourceFile}:${lineNumber}`));
window.moved = [];
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved.push({
        value: entry.value,
        what: entry.sources.map(({node}) => node && (node.outerHTML ?? node.data ?? "").slice(0, 120))});
}).observe({type: "layout-shift", buffered: true});
"""
AXE = (VENDOR / "axe.min.js").read_text("utf-8")
# Styles are loaded already, and to fetch them again would be a request that the page never makes. All rules that are on
# by default, and one that is not: what a thumb has to hit is 24 pixels wide, or stands apart.
RUN_AXE = """
const done = arguments[arguments.length - 1];
// What comes in from transparent is no colour of the page yet.
const settled = Promise.allSettled(document.getAnimations().map(one => one.finished));
const say = ({html, failureSummary}) => `    ${html.slice(0, 200)}\\n${failureSummary.replace(/^/gm, "    ")}\\n`;
const options = {preload: false, resultTypes: ["violations"], rules: {"target-size": {enabled: true}}};
settled.then(() => axe.run(document, options)).then(
    found => done(found.violations.map(({id, help, nodes}) => `${id}: ${help}\\n${nodes.map(say).join("")}`)),
    error => done([`axe: ${error}`]));
"""

DESKTOP, PHONE = (1280, 900), (360, 740)
_driver: Driver | None = None


def driver() -> Driver:
    global _driver
    if _driver is None:
        options = webdriver.ChromeOptions()
        options.binary_location = find("chromium")
        for argument in (
            "--headless=new",
            "--disable-gpu",
            # Containers have little of it, and a test has little to share.
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium has none for root
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        _driver = webdriver.Chrome(options, Service(find("chromedriver")))
        atexit.register(_driver.quit)
        _driver.set_script_timeout(60)
        _driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        _driver.execute_cdp_cmd("Network.enable", {})
    return _driver


def fresh() -> Driver:
    """The browser as if it had never been anywhere: cookies are one jar for all ports of a host."""
    browser = driver()
    browser.get("about:blank")
    browser.get_log("browser")
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    size(browser, DESKTOP)
    speak(browser, "en-GB")
    prefer(browser, "light")
    return browser


def size(browser: Driver, to: tuple[int, int]) -> None:
    """A screen: a phone's if it is narrow, with what else belongs to one."""
    width, height = to
    narrow = width < 600
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if narrow else 1, "mobile": narrow}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": narrow})


def speak(browser: Driver, language: str) -> None:
    """The language that the browser asks for, as its user would set it."""
    agent = browser.execute_cdp_cmd("Browser.getVersion", {})["userAgent"]
    override = {"userAgent": agent, "acceptLanguage": language}
    browser.execute_cdp_cmd("Emulation.setUserAgentOverride", override)


def prefer(browser: Driver, scheme: str, motion: str = "reduce") -> None:
    """Light or dark. Nothing glides unless asked for: what axe measures half way is no colour of the page."""
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def complaints(browser: Driver, allowed: list[str]) -> list[str]:
    """What the console has to say since it was last asked, but for what a test provokes."""
    said = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    return [message for message in said if not any(re.search(pattern, message) for pattern in allowed)]


def violations(browser: Driver) -> list[str]:
    """What axe-core finds on the page as it is."""
    browser.execute_script(AXE)
    return browser.execute_async_script(RUN_AXE)


def shoot(browser: Driver, name: str) -> None:
    """A screenshot of the whole page, if GLANCED_SHOTS names a folder for them."""
    if folder := os.environ.get("GLANCED_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))
