"""Processes that are measured, and the broker: started on the cores they may use, stopped whatever happens."""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
import harness  # noqa: E402: the line before puts it on the path

# The longest wait for a process to be there or to be gone.
PATIENCE = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Processor time so far, of all cores and whoever used it."""
    user, nice, system, _idle, _iowait, *rest = Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    return sum(int(ticks) for ticks in (user, nice, system, *rest)) / TICKS


class Failure(Exception):
    """Something that was to be measured does not do what it should."""


class Process:
    """Leads a group, so that Ctrl-C reaches it only through us, and what it starts ends with it."""

    def __init__(self, command: list[str | Path], cores: Iterable[int], **options: object) -> None:
        self._said = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            process_group=0,
            # Of this thread, which is the only one here: nothing can be held that the child would wait for.
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            **options,
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Fails if it has ended."""
        if (code := self.child.poll()) is not None:
            raise Failure(f"it ended with {code}")

    def said(self) -> str:
        """What it wrote to standard error."""
        # The child writes where this file's position is: it is left there.
        said = os.pread(self._said.fileno(), os.fstat(self._said.fileno()).st_size, 0)
        return said.decode(errors="replace").strip() or "(it said nothing)"

    def ready(self) -> str:
        """Waits for its line that begins with `ready`, and returns the rest of it."""
        text, end = b"", time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ)
            while time.monotonic() < end:
                if selector.select(0.1):
                    piece = os.read(self.child.stdout.fileno(), 4096)
                    if not piece:
                        self.child.wait(PATIENCE)
                        self.check()
                    text += piece
                for line in text.decode(errors="replace").splitlines(keepends=True):
                    if line.startswith("ready") and line.endswith("\n"):
                        return line.removeprefix("ready").strip()
        raise Failure(f"it is not ready after {PATIENCE:.0f} s")

    def stop(self) -> None:
        """As systemd would; killed if it does not end, or if nobody wants to wait."""
        try:
            self._signal(signal.SIGTERM)
            self.child.wait(PATIENCE)
        finally:
            self._signal(signal.SIGKILL)
            self.child.wait()
            self.child.stdout.close()
            self._said.close()

    def _signal(self, number: int) -> None:
        if self.child.poll() is None:
            os.killpg(self.child.pid, number)

    def _all(self) -> list[int]:
        """It and what it has started."""
        found = [self.child.pid]
        for pid in found:
            for listed in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in listed.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """Processor time so far, with that of children that have ended."""
        ticks = 0
        for pid in self._all():
            # The second field is the program's name in parentheses, which may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def memory(self) -> tuple[float, float]:
        """Resident memory and its proportional share, MiB."""
        kib = {"Rss": 0, "Pss": 0}
        for pid in self._all():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in kib:
                    kib[name] += int(value.split()[0])
        return kib["Rss"] / 1024, kib["Pss"] / 1024


class Broker(Process):
    """Mosquitto on a free port; on another one if someone else was quicker."""

    def __init__(self, folder: Path, cores: Iterable[int]) -> None:
        config = folder / "mosquitto.conf"
        for _ in range(5):
            self.port = harness.free_port()
            rules = f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_type error\n"
            config.write_text(f"{rules}log_dest stderr\n", "utf-8")
            super().__init__([harness.find("mosquitto"), "-c", config], cores)
            end = time.monotonic() + PATIENCE
            while not harness.listens(self.port) and self.child.poll() is None and time.monotonic() < end:
                time.sleep(harness.POLL)
            if self.child.poll() is None:
                return
        raise Failure(f"Mosquitto does not start:\n{self.said()}")
