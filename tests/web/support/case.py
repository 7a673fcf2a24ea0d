"""A test with a browser, in which nothing may go wrong unseen."""

import unittest

from . import browser
from .node import Node
from .page import Page


class WebCase(unittest.TestCase):
    def setUp(self) -> None:
        self.browser = browser.fresh()
        # What the console may say: patterns of what the test provokes.
        self.allowed: list[str] = []

    def tearDown(self) -> None:
        browser.shoot(self.browser, f"end-{self.id().removeprefix('test_')}")
        if said := browser.complaints(self.browser, self.allowed):
            self.fail("the console has errors:\n" + "\n".join(said))

    def start(self, node: Node) -> Node:
        """Starts it, and sees to its end."""
        self.addCleanup(node.stop)
        return node.start()

    def page(self, node: Node) -> Page:
        """Of a node to which the browser has gone, or will."""
        return Page(self.browser, node)

    def open(self, node: Node, view: str) -> Page:
        return Page(self.browser, node).open(view)

    def assert_accessible(self) -> None:
        if found := browser.violations(self.browser):
            self.fail("axe-core found:\n" + "\n".join(found))

    def assert_fits(self, page: Page) -> None:
        """Nothing sticks out to the side."""
        if wide := page.wide():
            self.fail(f"the page is wider than the screen, by {wide}")
