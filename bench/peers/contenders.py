"""Who is compared: how each is started, with which settings, and how frames reach it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from load import Load
from load_http import HttpLoad
from load_mqtt import MqttLoad
from processes import PATIENCE, ROOT, Failure, Process, harness

HERE = Path(__file__).resolve().parent
SITES = [ROOT / "tools/.site", ROOT / "tools/.site-peers"]
DAEMON = "daemon"


class Setting(NamedTuple):
    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads}"


@dataclass(frozen=True)
class Contender:
    key: str
    title: str
    program: str = ""
    arguments: list[str | Path] = field(default_factory=list)
    # Workers, where that is not for us to choose: the recipe has its pool of two threads on any machine.
    pool: int | None = None
    over_http: bool = False
    # Where packages are that are not among ours.
    site: Path | None = None
    # Of the daemon: the same network as all others, unless said otherwise.
    precision: str = "fp32"

    @property
    def is_glanced(self) -> bool:
        return not self.program

    def settings(self, cores: int) -> list[Setting]:
        """Those that make sense, of which the better is taken."""
        if self.pool:
            return [Setting(self.pool, 1)]
        if self.is_glanced or cores == 1:
            return [Setting(cores, 1)]
        return [Setting(cores, 1), Setting(1, cores)]


def contenders(torch: Path | None) -> list[Contender]:
    flask: list[str | Path] = []
    if torch:
        flask = ["--torch", "network.pt"]
    return [
        Contender(DAEMON, "glanced in fp32, as all others"),
        Contender("int8", "glanced with the int8 form of the same model, its choice where that is quicker", precision="int8"),
        Contender("a", "paho-mqtt, Pillow, NumPy, ONNX Runtime", "onnxruntime_peer.py"),
        Contender(
            "b", f"Flask, Pillow, NumPy, {'torch' if torch else 'ONNX Runtime'}", "flask_peer.py", flask, 2, True, torch
        ),
        Contender(
            "c", "paho-mqtt, Pillow, NumPy, OpenVINO as it comes (bf16 where the processor has it)", "openvino_peer.py"
        ),
        Contender("c32", "the same in f32, as all others", "openvino_peer.py", ["--precision", "f32"]),
    ]


class Running(NamedTuple):
    process: Process
    load: Load
    start_ms: float


class Stage:
    """What all contenders are given: the model, the broker, somebody who sends frames, cores."""

    def __init__(self, folder: Path, bundle: Path, glanced: Path, broker: int, load: MqttLoad, draft: bool) -> None:
        self._folder, self._bundle, self._glanced = folder, bundle, glanced
        self._broker, self._load, self._draft = broker, load, draft

    @contextmanager
    def start(self, contender: Contender, setting: Setting, cores: list[int], frame: bytes) -> Iterator[Running]:
        """Runs it, from its start to its first result and until the block ends."""
        begin = time.monotonic()
        command, options = self._command(contender, setting), self._options(contender, setting)
        with Process(command, cores, **options) as process:
            try:
                load = self._reach(contender, process)
                load.ask(frame)
                yield Running(process, load, (time.monotonic() - begin) * 1e3)
            except Failure as failure:
                raise Failure(f"{contender.title}: {failure}\nIt said:\n{process.said()}") from None

    def _command(self, contender: Contender, setting: Setting) -> list[str | Path]:
        if contender.is_glanced:
            return [self._glanced, "run", "--broker", f"mqtt://127.0.0.1:{self._broker}", "--log-level", "warn"]
        command = [sys.executable, HERE / contender.program, self._bundle, *contender.arguments]
        command += ["--workers", str(setting.workers), "--threads", str(setting.threads)]
        command += [] if contender.over_http else ["--broker", str(self._broker)]
        return command + (["--draft"] if self._draft else [])

    def _options(self, contender: Contender, setting: Setting) -> dict:
        if contender.is_glanced:
            keys = {
                "mqtt__node": "bench",
                "model__dir": self._bundle.parents[1],
                "model__runtime": ROOT / "runtime/libonnxruntime.so",
                "model__cache": self._folder / "cache",
                "inference__precision": contender.precision,
                "inference__workers": setting.workers,
                "inference__threads_per_worker": setting.threads,
                "store__dir": self._folder / "feedback",
                "http__listen": "",
            }
            return {"env": harness.environment(keys), "cwd": self._folder}
        return {"env": python_environment(contender.site), "cwd": self._folder}

    def _reach(self, contender: Contender, process: Process) -> Load:
        if contender.is_glanced:
            self._load.online(process.check)
            return self._load
        said = process.ready()
        return HttpLoad(int(said)) if contender.over_http else self._load


def python_environment(site: Path | None) -> dict[str, str]:
    """Ours before the others: what both have is of one version for all."""
    path = os.pathsep.join(str(folder) for folder in [*SITES, *([site] if site else [])])
    # Without the second, ONNX Runtime reports to its makers over the network how it is used.
    return os.environ | {"PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"}


def make_torch_script(site: Path, bundle: Path, output: str, folder: Path) -> None:
    """In a process of its own: what it takes to read ONNX is not to count as the peer's memory."""
    command = [sys.executable, HERE / "torch_network.py", bundle / "model.onnx", output, folder / "network.pt"]
    done = subprocess.run(
        command, env=python_environment(site), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=5 * PATIENCE
    )
    if done.returncode:
        raise Failure(f"torch could not be used:\n{done.stderr}")
