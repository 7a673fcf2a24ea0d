"""From what people said to a better model in use, with nothing but the page; and models of one's own."""

from support.case import WebCase
from support.node import Node
from support.page import Page
from support.pictures import GREEN, RED, YELLOW, striped


def with_yellow() -> Node:
    """A node with enough said to learn a colour from that its model does not know, in a second."""
    node = Node()
    node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
    return node


def version(node: Node) -> str:
    return node.run("model", "list")["models"][0]["version"]


class Models(WebCase):
    def retrain(self, page: Page, verdict: str) -> None:
        """Without leave to promote: what comes of it is a person's choice."""
        page.click("#retrain-promote")
        page.click("#retrain-start")
        page.shown("#retrain-verdict:not([data-verdict=''])")
        self.assertEqual(page.value("#retrain-verdict", "data-verdict"), verdict)

    def confirm(self, page: Page) -> None:
        page.shown("dialog#confirm[open]")
        page.click("#confirm-yes")
        page.gone("dialog#confirm")

    def test_retrain_promote_and_roll_back(self) -> None:
        node = self.start(with_yellow())
        yellow = striped(YELLOW, 1000)
        self.assertNotEqual(node.cameras.show("gate", yellow)["top3"][0]["label"], "yellow")
        page = self.open(node, "models")
        page.shown(".model[data-model=tints] .version[data-version='1']")
        self.retrain(page, "promote")
        self.assertEqual(node.get("/api/retrain")["last"]["report"]["verdict"], "promote")
        self.assertIn("Better", page.text("#retrain-verdict"))
        self.assertEqual(version(node), "1")
        page.shown(".model[data-model=tints] .version[data-version='2']")
        self.assert_accessible()

        page.click(".promote[data-version='2']")
        # Asked first, and not done when the answer is no.
        page.shown("dialog#confirm[open]")
        self.assert_accessible()
        page.click("#confirm-no")
        page.gone("dialog#confirm")
        self.assertEqual(version(node), "1")
        page.click(".promote[data-version='2']")
        self.confirm(page)
        page.until("it is in use", lambda: version(node) == "2")
        result = page.until("results are of it", lambda: self.of_version(node, "2", yellow))
        self.assertEqual(result["top3"][0]["label"], "yellow")
        page.gone(".promote[data-version='2']")

        page.click(".model[data-model=tints] .rollback")
        self.confirm(page)
        page.until("the one before is in use", lambda: version(node) == "1")
        page.until("results are of it", lambda: self.of_version(node, "1", yellow))
        page.shown(".promote[data-version='2']")

    def of_version(self, node: Node, version: str, picture: bytes) -> dict | None:
        result = node.cameras.show("gate", picture)
        return result if result["model"]["version"] == version else None

    def test_a_training_is_seen_and_cancelled(self) -> None:
        # The photographs of a day, and a network to look at them with: enough to be cut short.
        node = Node("efficientnet-lite0")
        node.teach({"yellow": (YELLOW, 60), "red": (RED, 60)})
        page = self.open(self.start(node), "models")
        page.click("#retrain-start")
        page.shown("#retrain-progress")
        page.until("something is done", lambda: (node.get("/api/retrain")["running"] or {}).get("of"))
        page.click("#retrain-cancel")
        page.until("nothing runs", lambda: node.get("/api/retrain")["running"] is None)
        page.gone("#retrain-progress")
        page.shown("#retrain-start")
        self.assertEqual(len(node.get("/api/models")["models"][0]["versions"]), 1)

    def test_too_little_is_said_with_what_is_missing(self) -> None:
        node = self.start(Node())
        node.say("red", striped(RED, 1))
        page = self.open(node, "models")
        self.retrain(page, "too_little")
        self.assertRegex(page.text(".retrain"), r"\b30\b")

    def test_a_model_of_ones_own_and_what_to_configure_for_it(self) -> None:
        node = self.start(Node())
        page = self.open(node, "models")
        page.click("#model-new")
        page.shown("dialog#new-model[open]")
        self.assert_accessible()
        page.type("#new-name", "door")
        page.choose("#new-from", "tints")
        page.type("#new-labels", "open, closed")
        page.click("#new-create")
        source = page.until("the source is shown", lambda: self.source(page))
        self.assertIn('model = "door"', source)
        made = {one["name"]: one for one in node.run("model", "list")["models"]}
        self.assertEqual(set(made), {"door", "tints"})
        self.assert_accessible()
        page.keys("\ue00c")  # Escape
        page.gone("dialog#new-model")
        page.shown(".model[data-model=door]")

    def source(self, page: Page) -> str | None:
        element = page.shown("#new-source")
        return (element.get_attribute("value") or element.text).strip() or None

    def test_a_name_that_can_t_be_is_said_to_be_none(self) -> None:
        self.allowed.append(r"status of 4\d\d")
        node = self.start(Node())
        page = self.open(node, "models")
        page.click("#model-new")
        page.type("#new-name", "tints")
        page.choose("#new-from", "tints")
        page.type("#new-labels", "open, closed")
        page.click("#new-create")
        page.until("it says why not", lambda: page.shown("dialog#new-model [role=alert]").text.strip())
        self.assertEqual(len(node.run("model", "list")["models"]), 1)
