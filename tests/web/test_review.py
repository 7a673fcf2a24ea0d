"""Frames that wait for a label get one, many at a time, and what is shown of them is what the store has."""

from support.case import WebCase
from support.node import Node
from support.page import Page
from support.pictures import BLUE, DOUBTFUL, RED, plain, scene


class Review(WebCase):
    def collecting(self, count: int = 4, **keys: object) -> Node:
        """A node that has kept so many frames of which the model was of two minds: the even ones by the gate."""
        node = self.start(Node(store__collect=True, store__collect_sure_per_day=0, **keys))
        self.frames = []
        for number in range(count):
            camera = ("gate", "yard")[number % 2]
            self.frames.append(node.cameras.show(camera, scene(number, DOUBTFUL))["frame"])
            self.waiting(node, number + 1)
        return node

    def waiting(self, node: Node, count: int) -> None:
        Page(self.browser, node).until(
            f"{count} frames wait", lambda: node.run("feedback", "stats")["unlabelled"] == count
        )

    def shown(self, page: Page) -> list[str]:
        return page.js("return [...document.querySelectorAll('.frame')].map(frame => frame.dataset.frame)")

    def wait_for(self, page: Page, frames: list[str]) -> None:
        page.until(f"{frames} are shown", lambda: self.shown(page) == frames or None)

    def select(self, page: Page, *frames: str) -> None:
        for frame in frames:
            page.click(f".frame[data-frame='{frame}'] input[type=checkbox]")

    def test_what_waits_is_shown_with_its_picture_the_newest_first(self) -> None:
        node = self.collecting()
        page = self.open(node, "review")
        self.wait_for(page, self.frames[::-1])
        page.pictured(f".frame[data-frame='{self.frames[0]}'] img")

    def test_filters_show_what_the_api_gives_for_them(self) -> None:
        node = self.collecting()
        node.request("POST", "/api/feedback", {"frame": self.frames[1], "label": "ski"})
        page = self.open(node, "review")
        self.wait_for(page, [self.frames[n] for n in (3, 2, 0)])
        page.choose("#review-state", "all")
        self.wait_for(page, self.frames[::-1])
        page.choose("#review-state", "labelled")
        self.wait_for(page, [self.frames[1]])
        page.choose("#review-state", "all")
        self.fill(page, "#review-camera", "gate")
        self.wait_for(page, [self.frames[n] for n in (2, 0)])
        self.fill(page, "#review-camera", "yard")
        self.fill(page, "#review-label", "ski")
        self.wait_for(page, [self.frames[1]])

    def fill(self, page: Page, css: str, value: str) -> None:
        """A filter is a list to choose from, or a field to write into."""
        if page.shown(css).tag_name == "select":
            page.choose(css, value)
        else:
            page.shown(css).clear()
            page.type(css, value + "\n")

    def test_several_get_a_label_at_once(self) -> None:
        node = self.collecting()
        page = self.open(node, "review")
        self.wait_for(page, self.frames[::-1])
        self.select(page, self.frames[0], self.frames[2])
        page.click("#review-set-label")
        page.pick("red")
        wanted = sorted((self.frames[n], "red") for n in (0, 2))
        page.until("both are in the store", lambda: sorted(node.statements()) == wanted)
        self.wait_for(page, [self.frames[n] for n in (3, 1)])
        stats = node.run("feedback", "stats")
        self.assertEqual((stats["labelled"], stats["unlabelled"], stats["by_label"]), (2, 2, {"red": 2}))
        page.click("#toast-undo")
        page.until("both are taken back", lambda: node.statements() == [])
        self.wait_for(page, self.frames[::-1])

    def test_confirmed_is_what_was_seen(self) -> None:
        node = self.collecting(2)
        waiting = node.run("feedback", "list", "--unlabelled")["frames"]
        seen = {one["frame"]: one["predicted"][0]["label"] for one in waiting}
        page = self.open(node, "review")
        self.wait_for(page, self.frames[::-1])
        self.select(page, *self.frames)
        page.click("#review-confirm")
        page.until("both are in the store", lambda: dict(node.statements()) == seen)

    def test_deleted_is_gone_from_the_store(self) -> None:
        node = self.collecting(2)
        page = self.open(node, "review")
        self.wait_for(page, self.frames[::-1])
        self.select(page, self.frames[0])
        page.click("#review-delete")
        page.click("#confirm-yes")
        self.waiting(node, 1)
        self.wait_for(page, [self.frames[1]])
        self.assertEqual(node.request("GET", f"/api/frames/{self.frames[0]}.jpg").status, 404)

    def test_what_a_training_needs_is_counted(self) -> None:
        node = self.collecting(1)
        needs = node.get("/api/feedback/stats")["needs"]
        page = self.open(node, "review")
        text = page.text("#review-needs")
        for number in (needs["have"], needs["need"]):
            self.assertIn(str(number), text)
        node.say("red", plain(RED))
        node.say("blue", plain(BLUE))
        page.reload()
        have = node.get("/api/feedback/stats")["needs"]["have"]
        self.assertGreater(have, needs["have"])
        page.until("more is counted", lambda: str(have) in page.text("#review-needs"))
