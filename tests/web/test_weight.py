"""What the page costs until it is there."""

from support import browser
from support.case import WebCase
from support.node import Node
from support.page import VIEWS

MOST = 150_000
# All that was fetched, the document with it, as it came over the wire with its headers.
FETCHED = """
return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(entry => [new URL(entry.name).pathname, entry.transferSize]);
"""


class Weight(WebCase):
    def test_the_first_paint_is_small_in_either_language_and_on_each_page(self) -> None:
        node = self.start(Node())
        for language in ("en-GB", "zh-CN"):
            for view in VIEWS:
                with self.subTest(language=language, view=view):
                    self.browser.get("about:blank")
                    self.browser.execute_cdp_cmd("Network.clearBrowserCache", {})
                    browser.speak(self.browser, language)
                    page = self.open(node, view)
                    page.until("it is painted", lambda: page.js("return performance.getEntriesByType('paint').length"))
                    fetched = page.js(FETCHED)
                    self.assertIn("/", [name for name, _ in fetched])
                    self.assertTrue(all(size > 0 for name, size in fetched if name.startswith("/assets/")), fetched)
                    self.assertLess(sum(size for _, size in fetched), MOST, sorted(fetched, key=lambda one: -one[1]))

    def test_nothing_comes_from_elsewhere(self) -> None:
        node = self.start(Node())
        policy = node.request("GET", "/").headers["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        page = self.open(node, "try")
        for view in VIEWS:
            page.click(f"[data-view={view}]")
            page.there(VIEWS[view])
        names = page.js("return performance.getEntriesByType('resource').map(entry => entry.name)")
        self.assertTrue(names)
        self.assertEqual([name for name in names if not name.startswith((node.url, "data:", "blob:"))], [])
