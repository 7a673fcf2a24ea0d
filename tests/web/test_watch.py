"""What the other tests watch for would be seen, if it were there: a test that sees nothing passes as well."""

from support import browser
from support.case import WebCase
from support.node import Node


class Watch(WebCase):
    def test_a_script_that_the_policy_forbids_does_not_run_and_is_told(self) -> None:
        page = self.open(self.start(Node()), "try")
        page.js("""const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script)""")
        self.assertIsNone(page.js("return window.ran ?? null"))
        self.assertIn("content security policy: script-src", " ".join(browser.complaints(self.browser, [])))

    def test_an_error_of_the_page_is_told(self) -> None:
        page = self.open(self.start(Node()), "try")
        page.js("setTimeout(() => { throw new Error('of a test') })")
        page.until("it is told", lambda: "of a test" in " ".join(browser.complaints(self.browser, [])))

    def test_what_moves_is_measured(self) -> None:
        page = self.open(self.start(Node()), "try")
        page.moved()
        page.js("""const wedge = document.createElement("div");
            wedge.style.height = "300px";
            document.querySelector("main").prepend(wedge)""")
        self.assertGreater(sum(one["value"] for one in page.moved()), 0.01)

    def test_what_is_too_wide_or_a_slip_or_not_accessible_is_found(self) -> None:
        page = self.open(self.start(Node()), "try")
        page.js("""const wide = document.createElement("button");
            wide.style.width = "5000px";
            document.querySelector("main").append(wide, document.createElement("p"));
            document.querySelector("main > p").textContent = "undefined" """)
        self.assertIn("<button", page.wide())
        self.assertEqual(page.slips(), ["undefined"])
        self.assertIn("button-name", " ".join(browser.violations(self.browser)))
