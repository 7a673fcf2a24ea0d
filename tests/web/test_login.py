"""A node with a token: nothing is shown without it, and the cookie that stands for it is the browser's own business."""

from support.case import WebCase
from support.node import Node
from support.page import Page
from support.pictures import RED, plain

TOKEN = "a-token-of-24-characters"


class Login(WebCase):
    def guarded(self) -> Node:
        node = Node()
        return self.start(node.set("http__token_file", node.write("token", TOKEN + "\n")))

    def enter(self, page: Page, token: str) -> None:
        page.shown("dialog#login[open]")
        page.shown("#login-token").clear()
        page.type("#login-token", token)
        page.click("#login-submit")

    def test_in_with_the_token_and_out_again(self) -> None:
        # The browser itself logs a refusal.
        self.allowed.append(r"status of 401")
        node = self.guarded()
        for path in ("/api/cameras", "/api/openapi.json", "/api/node", "/metrics"):
            self.assertEqual(node.request("GET", path).status, 401, path)
        self.browser.get(f"{node.url}/#/cameras")
        page = self.page(node)
        page.shown("dialog#login[open]")
        self.assert_accessible()
        self.enter(page, "not-the-token-but-as-long")
        self.assertTrue(page.text("#login-error"))
        self.assert_accessible()
        self.enter(page, TOKEN)
        page.gone("dialog#login")

        node.cameras.show("gate", plain(RED))
        page.until("results come", lambda: page.bars(".camera[data-camera=gate]"))
        cookie = self.browser.get_cookies()
        self.assertEqual([(one["httpOnly"], one["sameSite"]) for one in cookie], [(True, "Strict")])
        self.assertNotIn(TOKEN, str(cookie))
        self.assertEqual(page.js("return document.cookie"), "")
        self.assertNotIn(TOKEN, page.js("return JSON.stringify([localStorage, sessionStorage])"))
        page.reload()
        page.shown(".camera[data-camera=gate]")
        page.click(".camera[data-camera=gate] .camera-right")
        page.until("it is in the store", lambda: [label for _, label in node.statements()] == ["red"])

        page.click("#logout")
        page.shown("dialog#login[open]")
        self.assertEqual(page.js("return fetch('/api/cameras').then(answer => answer.status)"), 401)
        # What was worth something before is worth nothing any more.
        old = f"{cookie[0]['name']}={cookie[0]['value']}"
        self.assertEqual(node.request("GET", "/api/cameras", Cookie=old).status, 401)

    def test_programs_say_the_token_with_each_request(self) -> None:
        node = self.guarded()
        self.assertEqual(node.request("GET", "/api/cameras", Authorization=f"Bearer {TOKEN}").status, 200)
        self.assertEqual(node.request("GET", "/api/cameras", Authorization="Bearer another").status, 401)

    def test_without_a_token_there_is_nothing_to_log_in_to(self) -> None:
        page = self.open(self.start(Node()), "try")
        self.assertEqual(page.node.get("/api/session"), {"login": False, "in": True})
        self.assertFalse(any(one.is_displayed() for one in page.all("dialog#login, #logout")))
