"""The order of it all: first a trial, which finds settings and rates and compares answers, then rounds."""

import os
import sys
import time
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import NamedTuple

from answers import agree, best
from contenders import Contender, Running, Setting, Stage
from figures import quantile
from load import Rate
from processes import Broker, Failure, machine_seconds
from table import Cell, Rounds


class Chosen(NamedTuple):
    """What the trial found for a contender on so many cores."""

    setting: Setting
    fps: dict[str, float]  # by the frame's size


def say(line: str) -> None:
    print(f"bench-peers: {line}", file=sys.stderr, flush=True)


class Comparison:
    def __init__(
        self, stage: Stage, broker: Broker, contenders: list[Contender], frames: dict[str, list[bytes]], seconds: float
    ) -> None:
        """`frames` by their size."""
        self._stage, self._broker, self._contenders = stage, broker, contenders
        self._frames, self._seconds = frames, seconds
        self._all_cores = sorted(os.sched_getaffinity(0))
        self._first = next(iter(frames.values()))[0]
        # Cores that neither contender nor broker nor load used, for each time that a contender was measured.
        self.others: list[float] = []

    def cores(self, count: int) -> list[int]:
        """Those of a contender; the broker and the load take the others, if there are any."""
        rest = self._all_cores[count:] or self._all_cores
        os.sched_setaffinity(0, rest)
        os.sched_setaffinity(self._broker.child.pid, rest)
        return self._all_cores[:count]

    def check_answers(self, photographs: list[Path]) -> None:
        """Fails unless all see in the photographs what the first does."""
        reference: list[dict] = []
        cores = self.cores(1)
        for contender in self._contenders:
            with self._stage.start(contender, contender.settings(1)[0], cores, self._first) as running:
                answers = [running.load.ask(path.read_bytes()) for path in photographs]
            reference = reference or answers
            for path, answer, expected in zip(photographs, answers, reference, strict=True):
                if not agree(answer, expected):
                    raise Failure(
                        f"{contender.title} does another job: {path.name} is {best(answer)} to it, "
                        f"and {best(expected)} to {self._contenders[0].title}"
                    )

    def trial(self, count: int) -> dict[str, Chosen]:
        """The better setting of each contender, and what it takes."""
        cores, chosen = self.cores(count), {}
        for contender in self._contenders:
            found = []
            for setting in contender.settings(count):
                say(f"trial on {count} core(s): {contender.key} with {setting}")
                with self._stage.start(contender, setting, cores, self._first) as running:
                    rates = {size: self._closed(running, size) for size in self._frames}
                found.append(Chosen(setting, {size: rate.fps for size, rate in rates.items()}))
            chosen[contender.key] = max(found, key=lambda each: next(iter(each.fps.values())))
        return chosen

    def rounds(self, number: int, chosen: dict[int, dict[str, Chosen]]) -> Rounds:
        measured: Rounds = defaultdict(lambda: defaultdict(list))
        for done, count, contender in product(range(number), chosen, self._contenders):
            say(f"round {done + 1} of {number} on {count} core(s): {contender.key}")
            for cell, value in self._one(contender, count, chosen[count]).items():
                measured[cell][contender.key].append(value)
        return measured

    def _one(self, contender: Contender, count: int, chosen: dict[str, Chosen]) -> dict[Cell, float]:
        own, values = chosen[contender.key], {}
        with self._stage.start(contender, own.setting, self.cores(count), self._first) as running:
            began, others = time.monotonic(), self._others_seconds(running)
            for size, frames in self._frames.items():
                rate = self._closed(running, size)
                values[Cell(count, size, "frames/s")] = rate.fps
                values[Cell(count, size, "CPU s/1000")] = rate.cpu_per_1000
                common = min(each.fps[size] for each in chosen.values()) / 2
                for name, fps in (("own", own.fps[size] / 2), ("common", common)):
                    latencies = running.load.open(frames, fps, self._seconds)
                    values[Cell(count, size, f"p50 {name}")] = quantile(latencies, 0.5)
                    values[Cell(count, size, f"p99 {name}")] = quantile(latencies, 0.99)
            rss, pss = running.process.memory()
            values[Cell(count, "", "RSS MiB")] = rss
            values[Cell(count, "", "PSS MiB")] = pss
            values[Cell(count, "", "start ms")] = running.start_ms
            self.others.append((self._others_seconds(running) - others) / (time.monotonic() - began))
        return values

    def _others_seconds(self, running: Running) -> float:
        """Processor time of whoever has nothing to do with this."""
        ours = running.process.cpu_seconds() + self._broker.cpu_seconds() + time.process_time()
        return machine_seconds() - ours

    def _closed(self, running: Running, size: str) -> Rate:
        return running.load.closed(self._frames[size], self._seconds, running.process.cpu_seconds)
