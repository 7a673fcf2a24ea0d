"""What a load is, whether frames go over MQTT or HTTP: one question, as many frames as come through, or so many a second."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

# Frames on the way at once, each of a camera of its own, so that none replaces another: enough that the workers never wait
# for the broker.
ON_THE_WAY = 8
# Before anything is counted, seconds.
WARM_UP = 0.5
# A frame that gives no result for so many seconds was lost.
LOST = 10.0


class Rate(NamedTuple):
    fps: float
    cpu_per_1000: float


class Load(Protocol):
    def ask(self, jpeg: bytes) -> dict:
        """The answer to one frame."""

    def closed(self, frames: list[bytes], seconds: float, cpu_seconds: Callable[[], float]) -> Rate:
        """A camera's next frame is sent when the result of its last one arrives."""

    def open(self, frames: list[bytes], fps: float, seconds: float) -> list[float]:
        """Frames are sent at that rate, whatever comes back. Milliseconds from when each was due to its result, or infinity."""


class Counter:
    """Counts results from the end of the warm-up until the time is over, and the processor time between."""

    def __init__(self, seconds: float, cpu_seconds: Callable[[], float], now: float) -> None:
        self._seconds, self._cpu_seconds = seconds, cpu_seconds
        self._begin, self._counting, self._results = now, None, 0
        self.rate: Rate | None = None

    def result(self, now: float) -> None:
        if self.rate:
            return
        if self._counting is None:
            if now - self._begin >= WARM_UP:
                self._counting = now, self._cpu_seconds()
            return
        start, cpu = self._counting
        self._results += 1
        if now - start >= self._seconds:
            used = self._cpu_seconds() - cpu
            self.rate = Rate(self._results / (now - start), used / self._results * 1000)
