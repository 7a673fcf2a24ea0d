"""A picture of one's own: what the page shows of it is what the API says, and what one says of it is kept."""

import base64
import re

from support import browser
from support.case import WebCase
from support.node import Node
from support.page import Page
from support.pictures import BLUE, RED, YELLOW, photograph, plain, striped


class Try(WebCase):
    def upload(self, page: Page, picture: bytes, name: str = "picture.png") -> None:
        page.there("#try-file").send_keys(str(page.node.write(name, picture)))

    def test_the_bars_of_a_photograph_are_what_the_api_says(self) -> None:
        node = self.start(Node("efficientnet-lite0"))
        coffee = photograph("coffee.jpg")
        said = node.request("POST", "/api/classify", coffee, "image/jpeg").json()
        wanted = [(str(one["class"]), one["score"]) for one in said["top3"]]
        self.assertEqual(said["top3"][0]["label"], "espresso")
        page = self.open(node, "try")
        self.upload(page, coffee, "coffee.jpg")
        page.until("there are three bars", lambda: len(page.bars("#try-result")) == 3)
        self.assertEqual(page.bars("#try-result"), wanted)
        text = page.text("#try-result")
        shown = [float(number) for number in re.findall(r"([\d.]+)\s?%", text)]
        self.assertEqual(len(shown), 3, text)
        for one, percent in zip(said["top3"], shown, strict=True):
            self.assertIn(one["label"], text)
            self.assertAlmostEqual(percent, one["score"] * 100, delta=0.0501)
        self.assertGreaterEqual(len(page.all("#try-views img")), 1)
        page.pictured("#try-views img")
        browser.shoot(self.browser, "try-result-en")
        self.assert_accessible()
        page.choose("#language", "zh")
        page.until("the label is Chinese", lambda: said["top3"][0]["label_zh"] in page.text("#try-result"))
        browser.shoot(self.browser, "try-result-zh")

    def test_what_is_no_picture_is_said_to_be_none_and_the_next_one_works(self) -> None:
        # The browser itself logs what a server refuses.
        self.allowed.append(r"status of 4(15|22)")
        page = self.open(self.start(Node()), "try")
        self.upload(page, b"this is no picture", "words.png")
        self.assertTrue(page.text("#try-error"))
        self.assertEqual(page.bars("#try-result"), [])
        self.assert_accessible()
        self.upload(page, plain(BLUE))
        page.until("there are bars", lambda: len(page.bars("#try-result")) == 3)
        self.assertEqual(page.bars("#try-result")[0][0], "2")
        page.gone("#try-error")

    def give(self, page: Page, event: str, picture: bytes) -> None:
        """Drops a picture on the page, or pastes it there."""
        script = """const bytes = Uint8Array.from(atob(arguments[1]), one => one.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "given.png", {type: "image/png"}));
            const options = {bubbles: true, cancelable: true};
            document.querySelector("main").dispatchEvent(arguments[0] === "paste"
                ? new ClipboardEvent("paste", {...options, clipboardData: data})
                : new DragEvent(arguments[0], {...options, dataTransfer: data}));"""
        page.js(script, event, base64.b64encode(picture).decode())

    def test_a_picture_may_be_dropped_or_pasted(self) -> None:
        page = self.open(self.start(Node()), "try")
        for event in ("dragenter", "dragover", "drop"):
            self.give(page, event, plain(RED))
        page.until("it is red", lambda: page.bars("#try-result")[:1] and page.bars("#try-result")[0][0] == "0")
        self.give(page, "paste", plain(BLUE))
        page.until("it is blue", lambda: page.bars("#try-result")[:1] and page.bars("#try-result")[0][0] == "2")

    def test_right_is_kept_in_the_store(self) -> None:
        node = self.start(Node())
        page = self.open(node, "try")
        self.upload(page, plain(RED))
        page.click("#try-right")
        self.assertTrue(page.text("#toast"))
        page.until("it is in the store", lambda: [label for _, label in node.statements()] == ["red"])

    def test_a_correction_is_kept_in_the_store_and_can_be_taken_back(self) -> None:
        node = self.start(Node())
        page = self.open(node, "try")
        self.upload(page, plain(RED))
        page.click("#try-wrong")
        page.pick("blue")
        page.until("it is in the store", lambda: [label for _, label in node.statements()] == ["blue"])
        page.click("#toast-undo")
        page.until("it is taken back", lambda: node.statements() == [])

    def test_a_class_that_the_model_does_not_know_is_a_new_one(self) -> None:
        node = self.start(Node())
        page = self.open(node, "try")
        self.upload(page, striped(YELLOW, 1))
        page.click("#try-wrong")
        page.pick("yellow", new=True)
        page.until("it is in the store", lambda: [label for _, label in node.statements()] == ["yellow"])
        self.assertEqual(node.run("feedback", "stats")["by_label"], {"yellow": 1})

    def test_another_picture_takes_the_place_of_the_first(self) -> None:
        page = self.open(self.start(Node()), "try")
        self.upload(page, plain(RED))
        page.until("it is red", lambda: page.bars("#try-result")[:1] and page.bars("#try-result")[0][0] == "0")
        page.click("#try-another")
        page.gone("#try-result")
        self.upload(page, plain(BLUE), "other.png")
        page.until("it is blue", lambda: page.bars("#try-result")[:1] and page.bars("#try-result")[0][0] == "2")
