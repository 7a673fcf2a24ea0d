"""What the cross builds rely on: folders that are whole or not there, and checks that do find what is wrong."""

import copy
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import answers
import place
import zig

HERE = Path(__file__).resolve().parent

# Fills a folder, and does halfway what its argument says.
FILL = """
import os, signal, sys
from pathlib import Path
import place
place.PLACE = Path(sys.argv[1])
def fill(folder):
    (folder / "one").write_text("1")
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "fail":
        place.fail("no network")
    (folder / "two").write_text("2")
with place.alone():
    place.make("thing", sys.argv[3], "a thing", fill)
"""


class Folders(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def fill(self, end: str, wanted: str) -> int:
        command = [sys.executable, "-B", "-c", FILL, self.place, end, wanted]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(HERE)}, capture_output=True).returncode

    def assert_whole(self, wanted: str) -> None:
        self.assertEqual([path.name for path in self.place.iterdir()], ["thing"])
        names = sorted(path.name for path in (self.place / "thing").iterdir())
        self.assertEqual(names, [".stamp", "one", "two"])
        self.assertEqual((self.place / "thing/.stamp").read_text(), wanted)

    def test_one_that_was_killed_is_repaired_by_the_next(self) -> None:
        self.assertEqual(self.fill("kill", "1.0"), -signal.SIGKILL)
        self.assertFalse((self.place / "thing").exists())
        self.assertEqual(self.fill("", "1.0"), 0)
        self.assert_whole("1.0")

    def test_what_is_there_stays_until_the_new_one_is_whole(self) -> None:
        self.assertEqual(self.fill("", "1.0"), 0)
        self.assertEqual(self.fill("fail", "2.0"), 1)
        self.assert_whole("1.0")
        self.assertEqual(self.fill("", "2.0"), 0)
        self.assert_whole("2.0")

    def test_nothing_is_made_again(self) -> None:
        self.assertEqual(self.fill("", "1.0"), 0)
        self.assertEqual(self.fill("fail", "1.0"), 0)


class Checks(unittest.TestCase):
    RESULT = {"file": "cup.jpg", "top3": [{"label": label, "score": score} for label, score in (("cup", 0.9), ("mug", 0.1))]}

    def differences(self, change: str, value: object) -> list[str]:
        changed = copy.deepcopy(self.RESULT)
        changed["top3"][1][change] = value
        return answers.differences([self.RESULT], [changed])

    def test_answers_may_differ_in_the_third_digit_only(self) -> None:
        self.assertEqual(self.differences("score", 0.109), [])
        self.assertEqual(len(self.differences("score", 0.111)), 1)
        self.assertEqual(len(self.differences("label", "jar")), 1)

    def test_an_error_or_a_result_that_is_missing_is_a_difference(self) -> None:
        self.assertEqual(len(answers.differences([self.RESULT], [])), 1)
        self.assertEqual(len(answers.differences([{"file": "cup.jpg", "error": "no JPEG"}], [self.RESULT])), 1)

    def test_a_program_for_a_newer_glibc_is_refused(self) -> None:
        # Debian 12 has 2.36; what it is linked with since 2.34 has that version.
        with self.assertRaisesRegex(SystemExit, r"needs glibc 2\.3[4-9]"):
            zig.check_glibc(Path("/bin/true"))

    def test_a_program_that_names_no_version_is_refused(self) -> None:
        with self.assertRaises((SystemExit, subprocess.CalledProcessError)):
            zig.check_glibc(HERE / "build")

    def test_the_pinned_onnx_runtime_is_found_with_its_checksums(self) -> None:
        import runtime

        self.assertRegex(runtime.pinned(), r"^onnxruntime==\S+ \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+$")


if __name__ == "__main__":
    unittest.main()
