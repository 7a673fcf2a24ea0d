"""The page in the browser: where it is, what it shows, and hands that use it."""

import re
from collections.abc import Callable
from typing import TypeVar

from . import eventually
from .browser import Driver
from .node import Node

from selenium.common.exceptions import (  # isort: skip: `.` puts it on the path
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.action_chains import ActionChains  # isort: skip
from selenium.webdriver.common.by import By  # isort: skip
from selenium.webdriver.remote.webelement import WebElement  # isort: skip
from selenium.webdriver.support.select import Select  # isort: skip

# Each view, and what stands there when it is drawn.
VIEWS = {
    "try": "#try-file",
    "cameras": "[data-view=cameras][aria-current]",
    "review": "#review-state",
    "models": ".model[data-model]",
    "node": "#node-config [data-key]",
}
# What a page that draws itself anew does to whoever holds one of its elements: ask again.
PASSING = (StaleElementReferenceException, ElementClickInterceptedException, ElementNotInteractableException)
CHINESE = re.compile(r"[\u4e00-\u9fff]")

T = TypeVar("T")


class Page:
    def __init__(self, browser: Driver, node: Node) -> None:
        self.browser = browser
        self.node = node

    def open(self, view: str) -> "Page":
        """A view, or what is below one, as `models/tints/2`."""
        self.browser.get(f"{self.node.url}/#/{view}")
        self.there(VIEWS[view.split("/")[0]])
        return self

    def reload(self) -> None:
        self.browser.refresh()

    def js(self, script: str, *arguments: object) -> object:
        return self.browser.execute_script(script, *arguments)

    def until(self, what: str, ask: Callable[[], T | None]) -> T:
        """As `eventually`; an element that has just been replaced is no answer yet."""

        def patiently() -> T | None:
            try:
                return ask()
            except PASSING:
                return None

        return eventually(what, patiently)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def there(self, css: str) -> WebElement:
        """Waits until it is in the page, seen or not: a file input may well be under something that looks better."""
        return self.until(f"{css} is there", lambda: (self.all(css) or [None])[0])

    def shown(self, css: str) -> WebElement:
        """Waits until it can be seen."""
        return self.until(f"{css} is shown", lambda: next((one for one in self.all(css) if one.is_displayed()), None))

    def gone(self, css: str) -> None:
        self.until(f"{css} is gone", lambda: not any(one.is_displayed() for one in self.all(css)))

    def text(self, css: str) -> str:
        """Waits until there is some."""
        return self.until(f"{css} has a text", lambda: (self.all(css) or [None])[0] and self.all(css)[0].text.strip())

    def click(self, css: str) -> None:
        """As a person does, who first moves what is to be clicked to the middle, away from what stays at the edges."""

        def click() -> bool:
            element = self.shown(css)
            self.js("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
            return True

        self.until(f"{css} can be clicked", click)

    def over(self, css: str) -> str:
        """What lies over the middle of an element, if anything does."""
        script = """const one = document.querySelector(arguments[0]);
            const {left, right, top, bottom} = one.getBoundingClientRect();
            const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
            return hit && (one.contains(hit) || hit.contains(one)) ? "" : hit?.outerHTML.slice(0, 160) ?? "the edge"
            """
        return self.js(script, css)

    def choose(self, css: str, value: str) -> None:
        self.until(f"{css} has {value!r}", lambda: Select(self.shown(css)).select_by_value(value) or True)

    def type(self, css: str, text: str) -> None:
        self.until(f"{css} can be typed into", lambda: self.shown(css).send_keys(text) or True)

    def value(self, css: str, name: str) -> str | None:
        """An attribute or property."""
        return self.until(f"{css} has {name}", lambda: [self.there(css).get_attribute(name)])[0]

    def keys(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def pick(self, label: str, new: bool = False) -> None:
        """Says in the open picker what a frame shows: a class that there is, or a new one."""
        self.shown("dialog#picker[open] input[role=combobox]")
        self.type("dialog#picker[open] input[role=combobox]", label)
        self.until(f"{label} is among the options", lambda: self._option(label, new))
        self.until(f"{label} can be picked", lambda: (self._option(label, new).click() or True))
        self.gone("dialog#picker")

    def _option(self, label: str, new: bool) -> WebElement | None:
        options = self.all("dialog#picker[open] [role=option]")
        fitting = [one for one in options if label in one.text and (one.get_attribute("data-class") == "") == new]
        return fitting[0] if fitting else None

    def bars(self, within: str) -> list[tuple[str, float]]:
        """Class and score of each bar."""
        script = """return [...document.querySelectorAll(arguments[0])]
            .map(bar => [bar.dataset.class, +bar.dataset.score])"""
        return [(str(number), score) for number, score in self.js(script, f"{within} .bar")]

    def pictured(self, css: str) -> None:
        """Waits until these are pictures: there, loaded, and not broken."""
        script = """const found = [...document.querySelectorAll(arguments[0])];
            return found.length > 0 && found.every(one => one.naturalWidth > 0)"""
        self.until(f"{css} shows a picture", lambda: self.js(script, css))

    def wide(self) -> str:
        """By how much it is wider than the screen, and what sticks out; nothing if it fits."""
        script = """const room = document.documentElement.clientWidth;
            const around = one => getComputedStyle(one).position === "absolute" ? one.offsetParent : one.parentElement;
            const held = one => one && one !== document.body
                && (getComputedStyle(one).overflowX !== "visible" || held(around(one)));
            const out = [...document.body.querySelectorAll("*")].filter(one =>
                one.getBoundingClientRect().right > room + 0.5 && !held(around(one)) && one.checkVisibility());
            const by = document.scrollingElement.scrollWidth - room;
            return by > 0 ? `${by} pixels:\\n` + out.map(one => one.outerHTML.slice(0, 120)).join("\\n") : "";
            """
        return self.js(script)

    def moved(self) -> list[dict]:
        """What has moved by itself since the page was loaded, or `window.moved` emptied."""
        # Two frames on, what was drawn last has been measured.
        script = """const done = arguments[0];
            requestAnimationFrame(() => requestAnimationFrame(() => done(window.moved)))"""
        return self.browser.execute_async_script(script)

    def slips(self) -> list[str]:
        """What only a program says: values that are none, and names of texts. A configuration's values are in code."""
        script = """const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) if (!walk.currentNode.parentElement.closest("code, pre, script"))
                found.push(walk.currentNode.data.trim());
            const slip = /^(false|true|null|undefined)$|\\bNaN\\b|\\bInfinity\\b|\\[object |\\{\\w+\\}/;
            return found.filter(text => slip.test(text))"""
        return self.js(script)

    def words(self) -> list[str]:
        """What the page itself says: navigation, headings, buttons and labels, not what cameras and people named."""
        css = "nav a, h1, h2, button, label > span:first-child, legend, caption, th[scope=col]"
        script = """return [...document.querySelectorAll(arguments[0])].filter(one => one.checkVisibility())
            .map(one => (one.innerText || one.ariaLabel || "").trim())"""
        return self.js(script, css)
