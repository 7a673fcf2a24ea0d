"""The daemon, with a folder of its own."""

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from . import HTTP, PATIENCE, ROOT, binary, environment, eventually
from .process import Process

BINARY = binary()


class Answer(NamedTuple):
    status: int
    text: str


def get(url: str, **headers: str) -> Answer:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with HTTP.open(request, timeout=PATIENCE) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())


class Node:
    """`toml` is a document's configuration; keys, such as `mqtt__url=…`, are those of this machine, and go before it."""

    def __init__(self, folder: Path, name: str, toml: str = "", **keys: object) -> None:
        self.name, self.folder, self.toml = name, folder / name, toml
        shutil.copytree(ROOT / "models", self.folder / "models")
        self._keys = {
            "mqtt__node": name,
            "mqtt__reconnect_max_s": 1,
            "model__dir": self.folder / "models",
            "model__runtime": ROOT / "runtime/libonnxruntime.so",
            "inference__workers": 1,
            "inference__threads_per_worker": 1,
            # A test waits for the result of each frame it sends, however busy the machine is.
            "inference__max_age_ms": 60_000,
            "store__dir": self.folder / "feedback",
            "http__listen": "127.0.0.1:0",
            "log__format": "json",
        } | keys
        self.process: Process | None = None
        self.address = ""

    def _command(self, *arguments: str) -> tuple[list[str | Path], dict]:
        (self.folder / "glanced.toml").write_text(self.toml)
        command = [BINARY, *arguments, "--config", self.folder / "glanced.toml"]
        return command, {"env": environment(self._keys), "cwd": ROOT}

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """A command beside the daemon."""
        command, options = self._command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, **options)

    def start(self) -> "Node":
        """Starts the daemon and waits until frames can flow."""
        command, options = self._command("run")
        self.process = Process(command, **options)
        self.address = json.loads(self.process.wait_for('"serving'))["http"]
        eventually("the daemon is ready", lambda: get(f"http://{self.address}/readyz").status == 200)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series, zero if it is not there."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        series = f"{name}{{{wanted}}}" if wanted else name
        lines = (line.rsplit(" ", 1) for line in get(f"http://{self.address}/metrics").text.splitlines())
        return next((float(line[1]) for line in lines if line[0] == series), 0.0)

    def kill(self) -> None:
        self.process.signal(signal.SIGKILL)
        self.process.stop()

    def stop(self) -> None:
        if self.process and not self.process.ended():
            code = self.process.stop()
            assert code == 0, f"the daemon ended with {code}; its log:\n{self.process.text()}"
