"""The daemon, with a broker and a folder of its own, and commands beside it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from . import HTTP, PATIENCE, ROOT, binary, environment, eventually
from .broker import Cameras, Mosquitto
from .pictures import Colour, striped
from .process import Process

BINARY = binary()


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> dict:
        return json.loads(self.body)


class Node:
    """A configuration and what it names, changed step by step, then started.

    Models are copied, so that what is learnt stays in the folder, and the first is the default one. Keys are given as
    `store__collect=True`; what no variable can say, such as `[[sources]]`, is written to `glanced.toml`.
    """

    def __init__(
        self, *models: str, labels: list[tuple[str, str]] | None = None, toml: str = "", **keys: object
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="glanced-web-")
        self.folder = Path(self._temporary.name)
        self.models = self.folder / "models"
        models = models or ("tints",)
        for model in models:
            self._copy(model)
        if labels:
            self._rename(models[0], labels)
        self.broker: Mosquitto | None = None
        self.cameras: Cameras | None = None
        self.process: Process | None = None
        self.address = ""
        self.write("glanced.toml", toml)
        self._keys = {
            "mqtt__node": "box-7",
            "model__dir": self.models,
            "model__name": models[0],
            "model__runtime": ROOT / "runtime/libonnxruntime.so",
            "inference__workers": 1,
            "store__dir": self.folder / "feedback",
            "http__listen": "127.0.0.1:0",
            "log__format": "json",
            # A test waits for the result of each frame it sends, however busy the machine is.
            "inference__max_age_ms": 30_000,
        } | keys

    def _copy(self, model: str) -> None:
        tests = ROOT / "tests/bundles" / model
        shutil.copytree(tests if tests.is_dir() else ROOT / "models" / model, self.models / model)

    def _rename(self, model: str, labels: list[tuple[str, str]]) -> None:
        """Gives the model's classes other names, and its bundle the checksum of that."""
        folder = self.models / model / "1"
        table = "class\tid\ten\tzh\n" + "".join(f"{n}\t\t{en}\t{zh}\n" for n, (en, zh) in enumerate(labels))
        (folder / "labels.tsv").write_text(table, "utf-8")
        bundle = (folder / "bundle.toml").read_text("utf-8")
        sealed = f'"labels.tsv" = "{hashlib.sha256(table.encode()).hexdigest()}"'
        (folder / "bundle.toml").write_text(re.sub(r'"labels.tsv" = ".*"', sealed, bundle), "utf-8")

    def set(self, key: str, value: object) -> "Node":
        self._keys[key] = value
        return self

    def write(self, name: str, content: bytes | str) -> Path:
        """A file in the node's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def _command(self, *arguments: str) -> tuple[list[str | Path], dict]:
        command = [BINARY, *arguments, "--config", self.folder / "glanced.toml"]
        return command, {"env": environment(self._keys), "cwd": ROOT}

    def run(self, *arguments: str) -> dict:
        """What a command says with --json."""
        command, options = self._command(*arguments, "--json")
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * PATIENCE, **options)
        assert done.returncode == 0, f"glanced {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    def start(self) -> "Node":
        """Starts the daemon, and its broker before, and waits until frames can flow."""
        if self.broker is None:
            self.broker = Mosquitto(self.folder)
            self.set("mqtt__url", self.broker.url)
        command, options = self._command("run")
        self.process = Process(command, **options)
        self.address = self.process.wait_for_line("where it serves", _address)
        eventually("the daemon is ready", lambda: self.request("GET", "/readyz").status == 200)
        self.cameras = Cameras(self.broker)
        return self

    def restart(self) -> None:
        """Ends the daemon and starts it again, at the same address."""
        assert self.process.stop() == 0, self.process.text()
        self.cameras.stop()
        self._keys["http__listen"] = self.address
        self.start()

    def stop(self) -> None:
        code = self.process.stop() if self.process else 0
        if self.cameras:
            self.cameras.stop()
        if self.broker:
            self.broker.stop()
        self._temporary.cleanup()
        assert code == 0, f"the daemon ended with {code}; its log:\n{self.process.text()}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def request(
        self, method: str, path: str, body: object = None, kind: str = "application/json", **headers: str
    ) -> Answer:
        """Asks over HTTP. A body that is no bytes goes as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with HTTP.open(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def get(self, path: str, **query: object) -> dict:
        """JSON of the API."""
        answer = self.request("GET", path + ("?" + urlencode(query) if query else ""))
        assert answer.status == 200, answer
        return answer.json()

    def teach(self, colours: dict[str, tuple[Colour, int]]) -> None:
        """Before the start: so many pictures of each colour, by what they are called, go into the store."""
        for label, (colour, count) in colours.items():
            for number in range(count):
                self.write(f"labelled/{label}/{number}.png", striped(colour, number))
        self.run("feedback", "import", str(self.folder / "labelled"))

    def say(self, label: str, picture: bytes, **headers: str) -> dict:
        """Feedback with its own picture."""
        said = {"image": base64.b64encode(picture).decode(), "camera": "gate", "label": label}
        answer = self.request("POST", "/api/feedback", said, **headers)
        assert answer.status == 200, answer
        return answer.json()

    def statements(self) -> list[tuple[str, str]]:
        """Frame and label of all that was said and stands, as the command line sees it beside the daemon."""
        return [(said["frame"], said["statement"]["label"]) for said in self.run("feedback", "list")["feedback"]]


def _address(line: str) -> str | None:
    if not line.startswith("{"):
        return None
    said = json.loads(line)
    return said.get("http") if "serving" in said.get("message", "") else None
