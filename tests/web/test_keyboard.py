"""Without a mouse: every page can be reached, and what it is there for can be done."""

from support import browser
from support.case import WebCase
from support.node import Node
from support.page import VIEWS, Page
from support.pictures import BLUE, DOUBTFUL, GREEN, RED, YELLOW, plain, scene, striped

TAB, ENTER, ESCAPE, DOWN, RIGHT, BACKSPACE, SPACE = "\ue004", "\ue007", "\ue00c", "\ue015", "\ue014", "\ue003", " "
# What has the focus, by what a selector could say of it, and whether one sees that it has.
FOCUS = """
const one = document.activeElement;
const seen = [one, one.nextElementSibling, one.parentElement, one.closest("label")].some(near => {
    if (!near) return false;
    const style = getComputedStyle(near);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
});
// What one can't go to, but is only sent to, such as the place where reading goes on, need not show it; in a date, the
// browser shows which part of it is meant.
const excused = one.tabIndex < 0 || one.type === "date";
const fits = Boolean(arguments[0]) && one.matches(arguments[0]);
return [fits, one === document.body, seen || excused, one.outerHTML.slice(0, 160)];
"""


class Keyboard(WebCase):
    def tab_to(self, page: Page, css: str) -> None:
        """Tab, until this has the focus; whatever has it on the way shows it."""
        page.shown(css)
        way = []
        for _ in range(150):
            fits, nothing, seen, html = page.js(FOCUS, css)
            if not nothing:
                way.append(html)
                self.assertTrue(seen, f"one can't see that it has the focus: {html}")
            if fits:
                return
            page.keys(TAB)
        self.fail(f"{css} can't be reached; the way was:\n" + "\n".join(way[:40]))

    def focused(self, page: Page, css: str) -> None:
        page.until(f"{css} has the focus", lambda: page.js(FOCUS, css)[0])

    def test_every_page_is_reached(self) -> None:
        page = self.open(self.start(Node()), "try")
        for view in list(VIEWS)[1:] + ["try"]:
            self.tab_to(page, f"[data-view={view}]")
            page.keys(ENTER)
            page.until(f"{view} is there", lambda view=view: page.all(VIEWS[view]))
            # The first thing there is where reading goes on: not lost at the end of what was there before.
            page.until("something has the focus", lambda: not page.js(FOCUS, "")[1])

    def test_a_picture_can_be_chosen(self) -> None:
        page = self.open(self.start(Node()), "try")
        for _ in range(60):
            page.keys(TAB)
            if page.js("""const one = document.activeElement;
                          return one.matches("#try-file") || one.htmlFor === "try-file"
                              || one !== document.body && one.querySelector("#try-file") !== null"""):
                break
        else:
            self.fail("the file input can't be reached")

    def test_a_correction(self) -> None:
        node = self.start(Node())
        page = self.open(node, "cameras")
        result = node.cameras.show("gate", plain(RED))
        self.tab_to(page, ".camera[data-camera=gate] .camera-wrong")
        page.keys(ENTER)
        # Away from it, back where one was.
        self.focused(page, "dialog#picker input[role=combobox]")
        page.keys(ESCAPE)
        page.gone("dialog#picker")
        self.focused(page, ".camera[data-camera=gate] .camera-wrong")
        page.keys(ENTER)
        self.focused(page, "dialog#picker input[role=combobox]")
        page.keys("blu")
        page.until("blue is the only class", lambda: self.classes(page) == ["2"])
        page.keys(BACKSPACE * 3)
        page.until("all classes are there", lambda: set(self.classes(page)) == {"0", "1", "2", "3"})
        for _ in range(4):
            page.keys(DOWN)
            if self.active(page) == "2":
                break
        self.assertEqual(self.active(page), "2")
        page.keys(ENTER)
        page.until("it is in the store", lambda: node.statements() == [(result["frame"], "blue")])
        page.gone("dialog#picker")
        self.tab_to(page, "#toast-undo")
        page.keys(ENTER)
        page.until("it is taken back", lambda: node.statements() == [])

    def active(self, page: Page) -> str | None:
        """The class of the option that Enter would take."""
        return page.js("""const input = document.querySelector("dialog#picker [role=combobox]");
            return document.getElementById(input.getAttribute("aria-activedescendant"))?.dataset.class""")

    def classes(self, page: Page) -> list[str]:
        return page.js("""return [...document.querySelectorAll("dialog#picker [role=option]")]
            .map(one => one.dataset.class).filter(number => number !== "")""")

    def test_what_has_the_focus_is_not_under_what_stays_in_its_place(self) -> None:
        browser.size(self.browser, browser.PHONE)
        node = self.start(Node())
        for camera in ("a", "b", "c", "d"):
            node.cameras.show(camera, plain(RED))
        page = self.open(node, "cameras")
        for camera in ("a", "b", "c", "d"):
            for button in ("right", "wrong"):
                css = f".camera[data-camera={camera}] .camera-{button}"
                self.tab_to(page, css)
                self.assertEqual(page.over(css), "", css)

    def test_a_dialog_keeps_the_focus(self) -> None:
        page = self.open(self.start(Node()), "models")
        self.tab_to(page, "#model-new")
        page.keys(ENTER)
        page.shown("dialog#new-model[open]")
        for _ in range(12):
            page.keys(TAB)
            self.assertTrue(page.js("return document.activeElement === document.body || "
                                    "document.activeElement.closest('dialog#new-model') !== null"))
        page.keys(ESCAPE)
        self.focused(page, "#model-new")

    def test_frames_get_a_label(self) -> None:
        node = self.start(Node(store__collect=True, store__collect_sure_per_day=0))
        frames = [node.cameras.show("gate", scene(number, DOUBTFUL))["frame"] for number in range(3)]
        page = self.open(node, "review")
        page.until("all are kept", lambda: node.run("feedback", "stats")["unlabelled"] == 3)
        page.reload()
        # The grid is one stop for Tab, at its newest frame; arrows move within it.
        self.tab_to(page, f".frame[data-frame='{frames[2]}'] input[type=checkbox]")
        for _ in range(2):
            page.keys(RIGHT, SPACE)
        self.tab_to(page, "#review-set-label")
        page.keys(ENTER)
        self.focused(page, "dialog#picker input[role=combobox]")
        page.keys("red", ENTER)
        wanted = sorted((frame, "red") for frame in frames[:2])
        page.until("both are in the store", lambda: sorted(node.statements()) == wanted)

    def test_retrain_and_promote(self) -> None:
        node = Node()
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12), "blue": (BLUE, 12)})
        page = self.open(self.start(node), "models")
        # Without leave to promote by itself.
        self.tab_to(page, "#retrain-promote")
        page.keys(SPACE)
        self.tab_to(page, "#retrain-start")
        page.keys(ENTER)
        page.shown(".promote[data-version='2']")
        self.tab_to(page, ".promote[data-version='2']")
        page.keys(ENTER)
        self.tab_to(page, "#confirm-yes")
        page.keys(ENTER)
        page.until("it is in use", lambda: node.run("model", "list")["models"][0]["version"] == "2")
        self.assertEqual(node.cameras.show("gate", striped(RED, 500))["camera"], "gate")
