"""What the comparison rests on: its sums, its frames, and that whoever does not do the job is found out."""

import io
import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import deps  # noqa: E402, F401: puts NumPy and Pillow on the path
import numpy as np  # noqa: E402
from answers import agree  # noqa: E402
from figures import Spread, quantile, ratios, spread  # noqa: E402
from frames import NOISE, sized  # noqa: E402
from load import WARM_UP, Counter  # noqa: E402
from PIL import Image  # noqa: E402
from processes import Failure, Process  # noqa: E402
from table import Cell, as_json, blocks  # noqa: E402


class Figures(unittest.TestCase):
    def test_the_median_of_an_even_number_lies_between(self) -> None:
        self.assertEqual(spread([4, 1, 2, 9]), Spread(3, 1, 9))
        self.assertEqual(spread([5, 1, 2]), Spread(2, 1, 5))

    def test_quantiles(self) -> None:
        values = range(100, -1, -1)
        self.assertEqual([quantile(values, part) for part in (0, 0.5, 0.99, 1)], [0, 50, 99, 100])
        self.assertTrue(math.isnan(quantile([], 0.5)))

    def test_a_lost_frame_is_the_slowest(self) -> None:
        self.assertEqual(quantile([1.0, math.inf, 2.0], 1), math.inf)

    def test_ratios_are_those_of_each_round(self) -> None:
        # The machine was half as fast in the second round: the ratio is the same.
        self.assertEqual(ratios([100, 50, 99], [50, 25, 33]), Spread(2, 2, 3))
        self.assertEqual(ratios([1.0], [math.inf]).median, 0)
        with self.assertRaises(ValueError):
            ratios([1, 2], [1])


class Table(unittest.TestCase):
    ROUNDS = {Cell(2, "", measure): {"daemon": [10.0, 20.0], "a": [20.0, 40.0]} for measure in ("RSS MiB", "PSS MiB", "start ms")}

    def test_each_contender_has_a_row_and_each_peer_its_ratio(self) -> None:
        lines = list(blocks(self.ROUNDS, ["daemon", "a"]))
        self.assertEqual([line.split()[0] for line in lines[2:5]], ["daemon", "a", "daemon/a"])
        self.assertIn("15.0 (10.0..20.0)", lines[2])
        self.assertIn("0.50 (0.50..0.50)", lines[4])

    def test_what_json_can_not_say_is_null(self) -> None:
        cell = Cell(1, "640x480", "p99 own")
        row = as_json({cell: {"daemon": [1.0], "a": [math.inf]}}, ["daemon", "a"])[1]
        self.assertEqual((row["rounds"], row["spread"]["median"], row["ratio"]["median"]), ([None], None, 0))


class Frames(unittest.TestCase):
    def test_they_have_size_and_noise_and_are_the_same_with_every_run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            grey = Path(folder, "grey.png")
            Image.new("RGB", (90, 80), (128, 128, 128)).save(grey)
            frame, again = sized([grey], (320, 240)), sized([grey], (320, 240))
        self.assertEqual(frame, again)
        with Image.open(io.BytesIO(frame[0])) as image:
            self.assertEqual((image.format, image.size), ("JPEG", (320, 240)))
            deviation = np.asarray(image.convert("L"), np.float32).std()
        # JPEG takes some of it, and the mean over three colours too.
        self.assertTrue(NOISE / 3 < deviation < NOISE, deviation)


class Answers(unittest.TestCase):
    EXPECTED = {"top3": [{"class": 1, "score": 0.44}, {"class": 2, "score": 0.41}, {"class": 3, "score": 0.1}]}

    def agrees(self, number: int) -> bool:
        return agree({"top3": [{"class": number, "score": 0.9}]}, self.EXPECTED)

    def test_another_class_is_another_job_unless_it_was_as_good(self) -> None:
        self.assertEqual([number for number in range(5) if self.agrees(number)], [1, 2])


class Rates(unittest.TestCase):
    def test_only_what_comes_after_the_warm_up_counts(self) -> None:
        used = iter([7.0, 8.0])
        counter = Counter(1.0, lambda: next(used), 0.0)
        for now in (0.1, WARM_UP, WARM_UP + 0.4, WARM_UP + 0.8, WARM_UP + 1.25, WARM_UP + 5):
            counter.result(now)
        self.assertEqual(counter.rate, (3 / 1.25, 1000 / 3))


class Processes(unittest.TestCase):
    def process(self, script: str) -> Process:
        process = Process([sys.executable, "-c", script], [0])
        self.addCleanup(process.stop)
        return process

    def test_one_that_ends_is_not_waited_for_and_what_it_said_is_kept(self) -> None:
        process = self.process("import sys; print('loading'); sys.exit('no model here')")
        with self.assertRaisesRegex(Failure, "ended with 1"):
            process.ready()
        self.assertEqual(process.said(), "no model here")

    def test_what_its_children_use_is_its_own(self) -> None:
        work = "sum(range(10**7)); held = bytearray(b'x') * (50 << 20); print('ready', flush=True); input()"
        start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {work!r}], stdin=subprocess.PIPE).wait()"
        alone = self.process("print('ready 7', flush=True); import time; time.sleep(60)")
        self.assertEqual(alone.ready(), "7")
        # Its child writes to the same pipe, and waits for a line that never comes.
        parent = self.process(start)
        self.assertEqual(parent.ready(), "")
        self.assertGreater(parent.cpu_seconds(), 0.05)
        self.assertGreater(parent.memory()[0], alone.memory()[0] + 50)


if __name__ == "__main__":
    unittest.main()
