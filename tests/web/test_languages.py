"""The page in two languages: the same words in both, the one that the browser asks for, and the one that is chosen."""

import base64
import json
import re
import unittest

from support import ASSETS, browser
from support.case import WebCase
from support.node import Node
from support.page import CHINESE, VIEWS
from support.pictures import RED, striped

# A language is named in itself; names of models, keys and measures are the same in both.
ALIKE = re.compile(r"中文|English|tints|box-7|glanced|^[a-z_.0-9]+$|^[A-Z]{2,}$|^Top-\d$")


def texts(language: str) -> dict[str, object]:
    """What a language file exports, as the browser reads it: no server has a part in it."""
    source = (ASSETS / f"{language}.js").read_bytes()
    chromium = browser.fresh()
    script = """const done = arguments[1];
        import("data:text/javascript;base64," + arguments[0]).then(
            found => done(JSON.stringify(found.default ?? Object.values(found)[0], (_, value) =>
                typeof value === "function" ? `function of ${value.length}` : value)),
            error => done(JSON.stringify({error: `${error}`})));"""
    return flat(json.loads(chromium.execute_async_script(script, base64.b64encode(source).decode())))


def flat(tree: object, path: str = "") -> dict[str, object]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {name: text for key, below in tree.items() for name, text in flat(below, f"{path}.{key}".strip(".")).items()}


def blanks(text: object) -> list[str]:
    """What is filled in: {n}, {label}; or what a function takes."""
    return sorted(re.findall(r"\{\w*\}|^function of \d+", str(text)))


class LanguageFiles(unittest.TestCase):
    def setUp(self) -> None:
        self.en, self.zh = texts("en"), texts("zh")

    def test_both_have_the_same_texts_and_none_is_empty(self) -> None:
        self.assertGreater(len(self.en), 50)
        self.assertEqual(sorted(self.en), sorted(self.zh))
        for name, text in (self.en | {f"zh:{name}": text for name, text in self.zh.items()}).items():
            self.assertTrue(str(text).strip(), f"{name} is empty")

    def test_the_same_is_filled_into_both(self) -> None:
        for name, text in self.en.items():
            self.assertEqual(set(blanks(text)), set(blanks(self.zh.get(name))), name)

    def test_what_the_page_asks_for_is_there_and_nothing_else(self) -> None:
        sources = "".join(file.read_text("utf-8") for file in ASSETS.iterdir() if file.suffix in (".js", ".html"))
        sources = sources.replace((ASSETS / "en.js").read_text("utf-8"), "").replace((ASSETS / "zh.js").read_text(), "")
        asked = set(re.findall(r"""\bt\('([\w.-]+)'|data-t(?:-label)?="([\w.-]+)"|tLabel: '([\w.-]+)'""", sources))
        for name in sorted(filter(None, (name for names in asked for name in names))):
            self.assertIn(name, self.en)
        # Named in full somewhere, or begun there: `verdict.${…}`, word('reason', …).
        begun = tuple(re.findall(r"`([\w.-]+\.)\$\{", sources))
        begun += tuple(f"{group}." for group in re.findall(r"\bword\('([\w.-]+)'", sources))
        for name in self.en:
            named = any(f"{quote}{name}{quote}" in sources for quote in "'\"")
            self.assertTrue(named or name.startswith(begun), f"nothing asks for {name}")


class Languages(WebCase):
    def test_the_browser_s_language_is_the_page_s_until_one_is_chosen(self) -> None:
        node = self.start(Node())
        page = self.open(node, "try")
        self.assertEqual(page.value("html", "lang"), "en")
        self.assertEqual(page.value("#language", "value"), "auto")
        browser.speak(self.browser, "zh-CN")
        page.reload()
        page.until("it is Chinese", lambda: page.value("html", "lang").startswith("zh"))
        page.choose("#language", "en")
        page.until("it is English", lambda: page.value("html", "lang") == "en")
        page.reload()
        page.there(VIEWS["try"])
        self.assertEqual((page.value("html", "lang"), page.value("#language", "value")), ("en", "en"))
        page.choose("#language", "auto")
        page.until("it is Chinese again", lambda: page.value("html", "lang").startswith("zh"))

    def test_a_browser_with_neither_language_gets_english(self) -> None:
        browser.speak(self.browser, "fr-FR")
        page = self.open(self.start(Node()), "try")
        self.assertEqual(page.value("html", "lang"), "en")

    def test_no_text_is_left_in_the_other_language(self) -> None:
        node = self.start(Node(store__collect=True))
        node.say("red", striped(RED, 1))
        for language in ("en", "zh"):
            page = self.open(node, "try")
            page.choose("#language", language)
            for view in VIEWS:
                with self.subTest(language=language, view=view):
                    page.open(view)
                    words = [text for text in page.words() if re.search(r"[A-Za-z\u4e00-\u9fff]{2}", text)]
                    self.assertGreater(len(words), 4)
                    for text in words:
                        if not ALIKE.search(text):
                            self.assertEqual(bool(CHINESE.search(text)), language == "zh", text)

    def test_light_and_dark_follow_the_system_until_one_is_chosen(self) -> None:
        page = self.open(self.start(Node()), "try")
        bright = """const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g);
                    return +r + +g + +b > 384"""
        self.assertTrue(page.js(bright))
        browser.prefer(self.browser, "dark")
        page.until("it is dark", lambda: not page.js(bright))
        page.choose("#theme", "light")
        page.until("it is light", lambda: page.js(bright))
        page.reload()
        page.there(VIEWS["try"])
        self.assertTrue(page.js(bright))
        page.choose("#theme", "auto")
        page.until("it is dark again", lambda: not page.js(bright))
