"""Child processes: those whose output is read while they run, and shell scripts as a reader would run them."""

import os
import signal
import subprocess
import threading
from pathlib import Path

from . import PATIENCE, eventually


class Process:
    """Its output, both streams, line by line. It leads a group, so that what it starts ends with it."""

    def __init__(self, command: list[str | Path], **options: object) -> None:
        self.lines: list[str] = []
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            **options,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(line.rstrip() for line in self.child.stdout)

    def ended(self) -> bool:
        return self.child.poll() is not None

    def wait_for(self, text: str) -> str:
        """The first line with that text."""

        def line() -> str | None:
            found = next((line for line in self.lines if text in line), None)
            assert found or not self.ended(), f"ended without saying {text!r}:\n{self.text()}"
            return found

        try:
            return eventually(f"the line {text!r}", line)
        except AssertionError as error:
            raise AssertionError(f"{error}; the output:\n{self.text()}") from None

    def text(self) -> str:
        return "\n".join(self.lines)

    def signal(self, number: int) -> None:
        if not self.ended():
            os.killpg(self.child.pid, number)

    def stop(self) -> int:
        """SIGTERM, and the code it ends with; killed if it does not end."""
        self.signal(signal.SIGTERM)
        try:
            code = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            code = self.child.wait()
        self._reader.join()
        self.child.stdout.close()
        return code


def shell(script: str, folder: Path, **environment: str) -> str:
    """Runs a script that must succeed in every line, and returns what it says."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{script}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
