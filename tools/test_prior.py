"""Classes are as alike as WordNet has them, and prior.tsv says so."""

import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import wordnet

TOOLS = Path(__file__).resolve().parent

# entity ─ animal ─ cat ─ lynx, lion
#        │        └ fish (and food) ─ tench
#        └ food ─ fish
# Eight nouns. Of entity there are 8 kinds, itself included, of animal 6, of cat 3, of food 3, of fish 2.
NAMES = ["entity", "animal", "cat", "lynx", "lion", "fish", "tench", "food"]
ABOVE = [[], [0], [1], [2], [2], [1, 7], [5], [0]]
LICENCE = "  1 This software and database is being provided\n  2 WordNet 3.0 Copyright 2006 by Princeton University.  \n"


def data_noun() -> str:
    text = LICENCE
    for number, (name, above) in enumerate(zip(NAMES, ABOVE, strict=True)):
        # As in WordNet: words and their count in hexadecimal, then pointers; here some that lead nowhere useful.
        pointers = [f"{'@i' if name == 'lion' else '@'} {hypernym:08} n 0000" for hypernym in above]
        pointers += ["+ 00000001 v 0101", f"~ {number:08} n 0000"]
        text += f"{number:08} 03 n 02 {name} 0 an_{name} 1 {len(pointers):03} {' '.join(pointers)} | about | it  \n"
    return text


def labels(*synsets: str) -> str:
    rows = [f"{number}\t{synset}\tname {number}\t" for number, synset in enumerate(synsets)]
    return "\n".join(["class\tid\ten\tzh", *rows]) + "\n"


LYNX, LION, TENCH = "n00000003", "n00000004", "n00000006"


class Prior(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "data.noun").write_text(data_noun(), "utf-8")

    def nouns(self) -> wordnet.Nouns:
        return wordnet.Nouns.read(self.folder / "data.noun")

    def run_tool(self, text: str, *more: str) -> subprocess.CompletedProcess:
        (self.folder / "labels.tsv").write_text(text, "utf-8")
        command = [sys.executable, "-B", TOOLS / "make_prior", "--wordnet", self.folder]
        command += ["--labels", self.folder / "labels.tsv", *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_hypernyms_are_read_and_nothing_else(self) -> None:
        nouns = self.nouns()
        self.assertEqual(nouns.release, "3.0")
        self.assertEqual(nouns.hypernyms["n00000005"], ["n00000001", "n00000007"])
        self.assertEqual(nouns.hypernyms[LION], ["n00000002"])
        self.assertEqual(nouns.ancestors(LYNX), {LYNX, "n00000002", "n00000001", "n00000000"})

    def test_likeness_is_what_both_are_a_kind_of(self) -> None:
        nouns = self.nouns()
        self.assertAlmostEqual(nouns.information("n00000000"), 0)
        self.assertAlmostEqual(nouns.information(LYNX), 1)
        # A third of log₂ is the logarithm to base 8.
        self.assertAlmostEqual(nouns.likeness(LYNX, LION), 1 - math.log2(3) / 3)
        # Above both is animal, of which there are 6: cat, lynx, lion, fish, tench, itself.
        self.assertAlmostEqual(nouns.likeness(LYNX, TENCH), 1 - math.log2(6) / 3)
        self.assertAlmostEqual(nouns.likeness(LYNX, LYNX), 1)
        # Of two ways up, the one that says more: fish, 2 kinds, rather than animal or food.
        self.assertAlmostEqual(nouns.likeness(TENCH, "n00000005"), 2 * (2 / 3) / (1 + 2 / 3))
        self.assertAlmostEqual(nouns.likeness("n00000000", "n00000000"), 0)

    def test_of_equally_like_classes_the_nearest_numbers_are_kept(self) -> None:
        names = [f"n{number:08}" for number in range(30)]
        nouns = wordnet.Nouns("3.0", {"top": [], "n1": ["top"]} | {name: ["n1"] for name in names})
        nouns.hypernyms |= {f"x{number}": ["top"] for number in range(10_000)}
        nouns = wordnet.Nouns("3.0", nouns.hypernyms)
        table = wordnet.neighbours(nouns, names)
        self.assertEqual([other for other, _ in table[20]], [15, 16, 17, 18, 19, 21, 22, 23, 24, 25])
        self.assertEqual([other for other, _ in table[0]], list(range(1, 11)))
        self.assertEqual(len({weight for row in table for _, weight in row}), 1)

    def test_a_table_is_written_and_what_has_no_neighbours_is_said(self) -> None:
        text = labels(TENCH, "n00000005", "n99999999", "", LYNX)
        done = self.run_tool(text)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = self.folder / "prior.tsv"
        self.assertEqual(done.stdout, f"{made}\n")
        self.assertEqual(made.read_text("utf-8"), "class\tneighbour\tweight\n0\t1\t0.800\n1\t0\t0.800\n")
        self.assertIn("WordNet has no name 2 (n99999999)", done.stderr)
        self.assertIn("1 classes have no synset", done.stderr)
        self.assertIn("2 pairs, 2 of 5 classes", done.stderr)
        other = self.folder / "other.tsv"
        self.assertEqual(self.run_tool(text, "--out", str(other)).returncode, 0)
        self.assertEqual(other.read_bytes(), made.read_bytes())
        self.assertEqual([path.name for path in self.folder.glob(".*")], [])

    def test_each_fault_is_named_and_nothing_is_written(self) -> None:
        good = labels(TENCH, "n00000005")
        for text, nouns, wanted in (
            ("class\ten\n", None, "labels.tsv: the first line must be the header"),
            (labels(TENCH) + "5\tn1\tx\t\n", None, "labels.tsv, line 3: class 1, its id and its name should stand here"),
            (labels("", ""), None, "no two classes are alike"),
            (good, LICENCE, "data.noun: no nouns in it"),
            (good, data_noun() + "00000009 03 n 0z\n", "data.noun, line 11: not a line of WordNet's data.noun"),
            (good, data_noun().replace(" 00000007 n", " 00000077 n"), "n00000005 is a kind of n00000077, which is not"),
        ):
            with self.subTest(wanted):
                (self.folder / "data.noun").write_text(nouns or data_noun(), "utf-8")
                done = self.run_tool(text)
                self.assertEqual(done.returncode, 1)
                self.assertIn(wanted, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertFalse((self.folder / "prior.tsv").exists())
        (self.folder / "data.noun").unlink()
        self.assertIn("apt-get install wordnet-base", self.run_tool(good).stderr)

    def test_another_release_is_noticed(self) -> None:
        (self.folder / "data.noun").write_text(data_noun().replace("WordNet 3.0", "WordNet 3.1"), "utf-8")
        self.assertIn("this is WordNet 3.1", self.run_tool(labels(TENCH, "n00000005")).stderr)


if __name__ == "__main__":
    unittest.main()
