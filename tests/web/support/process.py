"""A child process whose log is read while it runs."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from . import PATIENCE

T = TypeVar("T")


class Process:
    def __init__(self, command: list[str | Path], **options: object) -> None:
        self.lines: list[str] = []
        self._grown = threading.Condition()
        self._ended = False
        null = subprocess.DEVNULL
        self.child = subprocess.Popen(command, stdin=null, stdout=null, stderr=subprocess.PIPE, text=True, **options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.child.stderr:
            with self._grown:
                self.lines.append(line.rstrip())
                self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def wait_for_line(self, what: str, find: Callable[[str], T | None]) -> T:
        """What `find` makes of the first line that it makes anything of."""
        seen = 0
        end = time.monotonic() + PATIENCE
        with self._grown:
            while True:
                for line in self.lines[seen:]:
                    if found := find(line):
                        return found
                seen = len(self.lines)
                if self._ended or not self._grown.wait(end - time.monotonic()):
                    break
        raise AssertionError(f"never logged: {what}; the log:\n{self.text()}")

    def text(self) -> str:
        return "\n".join(self.lines)

    def stop(self) -> int:
        """SIGTERM, and the code it ends with; killed if it does not end."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self._reader.join()
        self.child.stderr.close()
        return code
