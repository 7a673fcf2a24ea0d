"""The package under test, and what the tests of it have in common."""

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from base64 import b64encode
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import debian
from machine import Machine
from place import DIST, ROOT, version

PACKAGES = {
    name: path if (path := DIST / f"glanced_{version()}-1_{name}.deb").is_file() else None for name in ("amd64", "arm64")
}
FRAME = ROOT / "examples/frames/coffee.jpg"
# Of the daemon's and of nobody else, and stripped of what is not.
UNIT = "glanced.service"


def boot() -> Machine:
    """A Debian 12 with the package beside it, and a broker that keeps what is sent while the daemon is away."""
    machine = Machine(debian.base("amd64"))
    shutil.copy(PACKAGES["amd64"], machine.shared)
    shutil.copy(FRAME, machine.shared)
    machine.run("sh", "-c", "echo '127.0.0.1 localhost' >/etc/hosts")
    machine.run("sh", "-c", "echo 'max_queued_messages 0' >/etc/mosquitto/conf.d/test.conf")
    machine.run("systemctl", "restart", "mosquitto")
    return machine


def install(machine: Machine, package: Path, *options: str) -> str:
    return machine.read("apt-get", "install", "--yes", *options, f"/shared/{package.name}")


def wait_until_up(machine: Machine) -> None:
    machine.wait_for("running service", lambda: machine.run("systemctl", "is-active", UNIT, check=False).returncode == 0)


def classify(machine: Machine, camera: str, *more: str) -> dict:
    """Sends a photograph of an espresso as a frame, until there is a result: a frame has no second chance by itself."""
    listen = ["mosquitto_sub", "-t", f"glanced/{camera}/top3", "-C", "1", "-W", "60", *more]
    with machine.popen(*listen, stdout=subprocess.PIPE) as listener:
        send = ["mosquitto_pub", "-t", f"cameras/{camera}/frame", "-f", f"/shared/{FRAME.name}", *more]
        machine.wait_for("result", lambda: machine.run(*send) and listener.poll() is not None)
        return json.loads(listener.stdout.read())


def picture(number: int) -> bytes:
    """A PNG that is not like another one's: stripes."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(64) for value in ((number * 37 + (x * y) // (number % 7 + 3) * 11) % 256, x * 4, y * 5))
        for y in range(48)
    )

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def feedback(number: int, label: str, **more: str) -> str:
    """What someone says, with the picture that it is about."""
    statement = {"id": f"said-{number}", "camera": "gate", "image": b64encode(picture(number)).decode(), "label": label}
    return json.dumps(statement | more)


class Talker:
    """Says something twenty times a second, and counts: each is acknowledged by the broker in the end."""

    def __init__(self, machine: Machine) -> None:
        self.said = 0
        self._ended = threading.Event()
        self._process = machine.popen(
            "mosquitto_pub", "-q", "1", "-t", "glanced/feedback", "-l", "-i", "talker", stdin=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        while not self._ended.wait(0.05):
            self._process.stdin.write(feedback(self.said, "espresso") + "\n")
            self._process.stdin.flush()
            self.said += 1

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._process.stdin.close()
        if code := self._process.wait(60):
            raise AssertionError(f"mosquitto_pub ended with {code}: not all was acknowledged")


def stored(machine: Machine) -> int:
    return json.loads(machine.read("glanced", "feedback", "stats", "--json"))["labelled"]


def rebuilt(package: Path, number: str, change) -> Path:  # noqa: ANN001
    """The package with another version, and its content changed by `change`."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        control = tree / "DEBIAN/control"
        lines = control.read_text("utf-8").splitlines()
        control.write_text("\n".join(f"Version: {number}" if x.startswith("Version:") else x for x in lines) + "\n", "utf-8")
        change(tree)
        made = package.parent / f"glanced_{number}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made
