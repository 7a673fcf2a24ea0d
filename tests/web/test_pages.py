"""Each page as people meet it: in both languages, wide and narrow, light and dark, with much to show and nothing."""

import itertools
import os

from support import browser
from support.case import WebCase
from support.node import Node
from support.page import VIEWS, Page
from support.pictures import DOUBTFUL, GREEN, RED, YELLOW, photograph, scene, striped

SOURCES = """
[[sources]]
topic = "cameras/+/frame"

[[sources]]
topic = "photographs/+/frame"
model = "efficientnet-lite0"
"""


class Pages(WebCase):
    """One node for all: nothing here changes it."""

    node: Node

    @classmethod
    def setUpClass(cls) -> None:
        node = Node("tints", "efficientnet-lite0", toml=SOURCES, store__collect=True, store__collect_margin_below=1.0)
        cls.addClassCleanup(node.stop)
        # A second version with figures and findings, a model that has learnt nothing yet, frames that wait and others,
        # and cameras with long names and short ones.
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
        node.run("retrain", "--promote")
        node.run("model", "new", "door", "--from", "tints", "--labels", "open,closed")
        cls.node = node.start()
        for number in range(6):
            camera = ("gate", "a-camera-with-a-name-that-does-not-end-soon")[number % 2]
            node.cameras.show(camera, scene(number, DOUBTFUL))
        for name in ("coffee", "panda", "motorcycle"):
            node.cameras.show(name, photograph(f"{name}.jpg"), "photographs")
        node.say("a label that somebody wrote who had much to say about what is to be seen here", striped(YELLOW, 77))

    # Every view, and what is in a view of its own.
    ROUTES = (*VIEWS, "models/tints/2")

    def each(self) -> list[tuple[str, str, str, tuple[int, int]]]:
        """Each pair of size, language and colours; for screenshots all three of them."""
        dresses = [
            (browser.DESKTOP, "en", "light"),
            (browser.DESKTOP, "zh", "dark"),
            (browser.PHONE, "en", "dark"),
            (browser.PHONE, "zh", "light"),
        ]
        if os.environ.get("GLANCED_SHOTS"):
            dresses = list(itertools.product((browser.DESKTOP, browser.PHONE), ("en", "zh"), ("light", "dark")))
        return [(view, language, scheme, size) for size, language, scheme in dresses for view in self.ROUTES]

    def test_each_page_is_accessible_and_fits_in_every_dress(self) -> None:
        for view, language, scheme, size in self.each():
            name = f"{view.replace('/', '-')}-{language}-{scheme}-{size[0]}"
            with self.subTest(name):
                browser.size(self.browser, size)
                browser.prefer(self.browser, scheme)
                page = self.open(self.node, "try")
                page.choose("#language", language)
                page.open(view)
                self.settle(page, view)
                browser.shoot(self.browser, name)
                self.assertEqual(page.slips(), [])
                self.assert_fits(page)
                self.assert_accessible()

    def settle(self, page: Page, view: str) -> None:
        """Waits for what comes after the page's own words."""
        page.until("its pictures are there", lambda: page.js(
            "return [...document.images].every(image => image.complete || image.loading === 'lazy')"))
        match view:
            case "cameras":
                page.until("there are five cards", lambda: len(page.all(".camera")) == 5)
            case "review":
                page.until("there are frames", lambda: len(page.all(".frame")) > 3)
            case "models/tints/2":
                page.shown(".model[data-model=tints] .version-details h3")
            case "models":
                page.until("there are three models", lambda: len(page.all(".model")) == 3)

    def test_nothing_sticks_out_on_the_narrowest_screen(self) -> None:
        # 1280 pixels enlarged four times (WCAG 1.4.10).
        browser.size(self.browser, (320, 640))
        for view in self.ROUTES:
            with self.subTest(view):
                page = self.open(self.node, view)
                self.settle(page, view)
                self.assert_fits(page)

    def test_each_page_has_a_title_a_heading_and_its_place_in_the_navigation(self) -> None:
        page = self.page(self.node)
        titles = set()
        for view in VIEWS:
            page.open(view)
            page.shown("h1")
            self.assertEqual(len(page.all("h1")), 1, view)
            marked = page.all("[data-view][aria-current]:not([aria-current=false])")
            self.assertEqual([one.get_attribute("data-view") for one in marked], [view])
            titles.add(self.browser.title)
        self.assertEqual(len(titles), len(VIEWS), titles)

    def test_dialogs_are_accessible_in_light_and_dark(self) -> None:
        page = self.page(self.node)
        for scheme in ("light", "dark"):
            for size in (browser.DESKTOP, browser.PHONE):
                with self.subTest(scheme=scheme, size=size):
                    browser.prefer(self.browser, scheme)
                    browser.size(self.browser, size)
                    page.open("cameras")
                    page.click(".camera[data-camera=gate] .camera-wrong")
                    page.shown("dialog#picker[open]")
                    page.until("there are options", lambda: page.all("dialog#picker [role=option]"))
                    self.dialog(page, "picker", f"{scheme}-{size[0]}")
                    page.open("review")
                    page.there(".frame input[type=checkbox]")
                    page.js("document.querySelector('.frame input[type=checkbox]').focus()")
                    page.keys("\ue007")  # Enter: the frame, large
                    self.dialog(page, "viewer", f"{scheme}-{size[0]}")
                    page.open("models")
                    page.click(".promote[data-version='1']")
                    self.dialog(page, "confirm", f"{scheme}-{size[0]}")
                    page.click("#model-new")
                    self.dialog(page, "new-model", f"{scheme}-{size[0]}")

    def dialog(self, page: Page, name: str, dress: str) -> None:
        page.shown(f"dialog#{name}[open]")
        browser.shoot(self.browser, f"{name}-{dress}")
        self.assert_fits(page)
        self.assert_accessible()
        page.keys("\ue00c")  # Escape
        page.gone(f"dialog#{name}")


class Empty(WebCase):
    def test_a_node_that_has_seen_nothing_yet_says_so_on_each_page(self) -> None:
        node = self.start(Node())
        for scheme in ("light", "dark"):
            browser.prefer(self.browser, scheme)
            for view in VIEWS:
                with self.subTest(view=view, scheme=scheme):
                    page = self.open(node, view)
                    browser.shoot(self.browser, f"empty-{view}-{scheme}")
                    self.assertGreater(len(page.text("main")), 20)
                    self.assertEqual(page.slips(), [])
                    self.assert_fits(page)
                    self.assert_accessible()

    def test_a_way_that_leads_nowhere_leads_to_a_page(self) -> None:
        node = self.start(Node())
        page = self.page(node)
        for where in ("/", "/#/nowhere", "/#"):
            self.browser.get("about:blank")
            self.browser.get(node.url + where)
            page.shown("h1")
        self.assertEqual(node.request("GET", "/nowhere").status, 404)
