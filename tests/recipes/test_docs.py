"""Of the recipes themselves: links lead somewhere, and what they show is either tried by a test or says that it was not."""

import re
import unittest
from pathlib import Path

from support import DOCS, ROOT
from support.docs import blocks
from support.process import shell

RECIPES = ["mosquitto.md", "ffmpeg.md", "esp32-cam.md", "frigate.md", "node-red.md", "prometheus.md", "scaling.md"]
# What only a reader's own machine can do, or would do to the machine of whoever runs the tests.
LEFT_OUT = {
    ("mosquitto.md", "owner"): "the user mosquitto",
    ("mosquitto.md", "passwd-owner"): "the user mosquitto",
    ("ffmpeg.md", "install"): "under /usr",
    ("ffmpeg.md", "enable"): "a systemd",
    ("esp32-cam.md", "flash"): "a board",
    ("esp32-cam.md", "see"): "a board; the same line is tried for ffmpeg",
    ("frigate.md", "frigate"): "Frigate",
    ("node-red.md", "install"): "under /usr; the version is that of the tests",
    ("prometheus.md", "install"): "under /etc; the configuration is checked",
}


class Documents(unittest.TestCase):
    def test_every_block_is_tried_or_says_that_it_is_not(self) -> None:
        tests = Path(__file__).parent
        for recipe in RECIPES:
            test = (tests / f"test_{recipe.removesuffix('.md').replace('-', '_')}.py").read_text()
            for block in blocks(recipe):
                with self.subTest(recipe, block=block.name):
                    tried = f'"{block.name}"' in test and block.name != ""
                    self.assertTrue(tried or block.name == "not-tried" or (recipe, block.name) in LEFT_OUT)
        shown = {(recipe, block.name) for recipe in RECIPES for block in blocks(recipe)}
        self.assertEqual(LEFT_OUT.keys() - shown, set())

    def test_every_fence_is_understood(self) -> None:
        for recipe in RECIPES:
            fences = re.findall(r"^ *```", (DOCS / recipe).read_text(), re.MULTILINE)
            self.assertEqual(len(fences), 2 * len(blocks(recipe)), recipe)

    def test_scripts_have_no_errors_of_syntax(self) -> None:
        for recipe in RECIPES:
            for block in blocks(recipe):
                if block.language == "sh":
                    with self.subTest(recipe, block=block.name):
                        shell(f"bash -n <<'EOT'\n{block.text}\nEOT", ROOT)
        shell("sh -n docs/mqtt-camera", ROOT)

    def test_links_lead_somewhere_and_the_index_has_all(self) -> None:
        for page in ["README.md", *RECIPES]:
            text = (DOCS / page).read_text()
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if "://" in target:
                    continue
                file, _, anchor = target.partition("#")
                path = DOCS / (file or page)
                with self.subTest(page, target=target):
                    self.assertTrue(path.exists())
                    if anchor:
                        titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
                        self.assertIn(anchor, [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in titles])
        index = re.findall(r"\]\(([^)]+)\)", (DOCS / "README.md").read_text())
        self.assertEqual(set(RECIPES) - set(index), set())

    def test_versions_are_those_that_are_tried(self) -> None:
        lock = (ROOT / "tests/recipes/package.json").read_text()
        (version,) = set(re.findall(r"node-red@(\S+)", (DOCS / "node-red.md").read_text()))
        self.assertIn(f'"node-red": "{version}"', lock)


if __name__ == "__main__":
    unittest.main()
