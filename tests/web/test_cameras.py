"""Live cards, with frames that come through a real broker."""

from support import browser
from support.case import WebCase
from support.node import Node
from support.pictures import BLUE, GREEN, GREY, RED, plain, striped

# Far apart in length: whatever gives way to its text gives way to these.
LONG = [
    ("red", "红"),
    ("a green that is like the first leaves of a beech in the third week of April, or nearly so", "绿"),
    ("blue", "蓝色，像四月第三周山毛榉林上方的天空那样的蓝，或者几乎就是那样"),
    ("grey", "灰"),
]


class Cameras(WebCase):
    def test_each_camera_has_a_card_that_says_what_its_last_result_does(self) -> None:
        node = self.start(Node())
        page = self.open(node, "cameras")
        for camera, colour in (("gate", RED), ("yard", GREEN), ("gate", BLUE)):
            result = node.cameras.show(camera, plain(colour))
            card = f".camera[data-camera={camera}]"
            wanted = [(str(one["class"]), one["score"]) for one in result["top3"]]
            page.until(f"the card of {camera} is new", lambda: page.bars(card) == wanted)
            self.assertIn(result["top3"][0]["label"], page.text(card))
        self.assertEqual(len(page.all(".camera")), 2)
        page.pictured(".camera[data-camera=gate] img")

    def test_cameras_that_were_there_before_the_page_are_shown_at_once(self) -> None:
        node = self.start(Node())
        node.cameras.show("gate", plain(GREEN))
        page = self.open(node, "cameras")
        page.until("its bars are there", lambda: page.bars(".camera[data-camera=gate]"))
        self.assertEqual(page.bars(".camera[data-camera=gate]")[0][0], "1")

    def test_a_correction_ends_in_the_store_and_can_be_taken_back(self) -> None:
        node = self.start(Node())
        page = self.open(node, "cameras")
        result = node.cameras.show("gate", plain(RED))
        page.click(".camera[data-camera=gate] .camera-wrong")
        # What comes meanwhile does not change what is spoken of.
        other = node.cameras.show("gate", plain(BLUE))
        page.pick("grey")
        page.until("it is in the store", lambda: node.statements() == [(result["frame"], "grey")])
        page.shown("#toast")
        self.assert_accessible()
        page.click("#toast-undo")
        page.until("it is taken back", lambda: node.statements() == [])
        page.until("the card is new", lambda: page.bars(".camera[data-camera=gate]")[0][0] == "2")
        page.click(".camera[data-camera=gate] .camera-right")
        page.until("it is in the store", lambda: node.statements() == [(other["frame"], "blue")])

    def test_nothing_moves_when_results_come(self) -> None:
        node = self.start(Node(labels=LONG))
        for size in (browser.DESKTOP, browser.PHONE):
            for language in ("en", "zh"):
                with self.subTest(size=size, language=language):
                    browser.size(self.browser, size)
                    page = self.open(node, "cameras")
                    page.choose("#language", language)
                    for camera in ("gate", "yard"):
                        node.cameras.show(camera, plain(RED))
                        card = f".camera[data-camera={camera}]"
                        page.until("its card is there", lambda card=card: page.bars(card))
                    page.js("window.moved.length = 0")
                    for number, colour in enumerate((GREEN, BLUE, GREY, RED) * 2):
                        camera = ("gate", "yard")[number % 2]
                        result = node.cameras.show(camera, striped(colour, number))
                        wanted = [(str(one["class"]), one["score"]) for one in result["top3"]]
                        card = f".camera[data-camera={camera}]"
                        page.until("the card is new", lambda card=card, wanted=wanted: page.bars(card) == wanted)
                    moved = page.moved()
                    self.assertLess(sum(one["value"] for one in moved), 0.01, moved)
                    self.assert_fits(page)

    def test_a_camera_that_has_gone_quiet_looks_so(self) -> None:
        node = self.start(Node())
        page = self.open(node, "cameras")
        node.cameras.show("gate", plain(RED))
        page.shown(".camera[data-camera=gate]:not(.stale)")
        # The browser's clock goes on as if nothing had come for a minute.
        page.js("const now = performance.now.bind(performance); performance.now = () => now() + 60_000")
        page.shown(".camera[data-camera=gate].stale")
        node.cameras.show("gate", plain(BLUE))
        page.shown(".camera[data-camera=gate]:not(.stale)")

    def test_the_page_finds_back_to_a_daemon_that_was_away(self) -> None:
        # The browser itself logs what it can't reach, and that a picture is gone that only the former daemon held.
        self.allowed += [r"net::ERR_", r"/api/frames/.* 404"]
        node = self.start(Node())
        page = self.open(node, "cameras")
        node.cameras.show("gate", plain(RED))
        page.shown(".camera[data-camera=gate]")
        node.restart()
        node.cameras.show("gate", plain(BLUE))
        page.until("the card is new", lambda: page.bars(".camera[data-camera=gate]")[:1][0][0] == "2")
