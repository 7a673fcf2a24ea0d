"""The package for ARM, in a Debian 12 for ARM under an emulator. systemd does not run there: its part is played."""

import configparser
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import debian
from emulated import Emulated
from machine import ENVIRONMENT
from package import FRAME, PACKAGES, feedback, rebuilt

# An inference takes seconds there.
PATIENCE = 600.0
UNIT = "usr/lib/systemd/system/glanced.service"


class Unit(configparser.RawConfigParser):
    """Reads a unit: the last of each key."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.optionxform = str
        self.read(path, "utf-8")


class Service:
    """The daemon as its unit starts it: command line, user, group, state folder, and a socket that it says to that it is ready."""

    def __init__(self, inside: Emulated, **environment: str) -> None:
        service = Unit(inside.root / UNIT)["Service"]
        notify = inside.root / "run/notify"
        notify.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(notify))
        notify.chmod(0o666)
        self._socket.settimeout(PATIENCE)
        become = ["setpriv", f"--reuid={service['User']}", f"--regid={service['Group']}", "--clear-groups", "--no-new-privs"]
        state = f"/var/lib/{service['StateDirectory']}"
        assert inside.run("stat", "-c", "%U", state).stdout.strip() == service["User"]
        command = [*become, "--bounding-set=-all", *shlex.split(service["ExecStart"])]
        self._process = subprocess.Popen(
            inside.command(*command),
            env=ENVIRONMENT | environment | {"NOTIFY_SOCKET": "/run/notify", "STATE_DIRECTORY": state},
            stdin=subprocess.DEVNULL,
        )
        while "READY=1" not in self._socket.recv(4096).decode():
            pass

    def stop(self) -> None:
        # What was started only waits for the daemon, in whose namespace of processes it is not.
        waits = self._process.pid
        for daemon in Path(f"/proc/{waits}/task/{waits}/children").read_text().split():
            os.kill(int(daemon), signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._socket.close()


@unittest.skipUnless(PACKAGES["arm64"], "make deb ARCH=arm64 has not been run")
class Emulation(unittest.TestCase):
    """Installed, used, upgraded while people say things, and purged."""

    def setUp(self) -> None:
        self.inside = Emulated(debian.base("arm64"), overlay=True)
        self.addCleanup(self.inside.stop)
        folder = self.enterContext(TemporaryDirectory(prefix="glanced-"))
        self.broker(Path(folder))
        self.environment = {"GLANCED__MQTT__URL": f"mqtt://127.0.0.1:{self.port}", "GLANCED__HTTP__LISTEN": ""}

    def broker(self, folder: Path) -> None:
        """Mosquitto, outside: it is not what is tested."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port = free.getsockname()[1]
        (folder / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n", "utf-8")
        broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", folder / "conf"], stderr=subprocess.DEVNULL)
        self.addCleanup(broker.wait)
        self.addCleanup(broker.terminate)
        self.wait_for(lambda: self.publish("-t", "hello", "-n", check=False).returncode == 0)

    def wait_for(self, ask) -> None:  # noqa: ANN001
        end = time.monotonic() + PATIENCE
        while not ask():
            self.assertLess(time.monotonic(), end, "too late")
            time.sleep(0.1)

    def publish(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(["mosquitto_pub", "-p", str(self.port), *map(str, arguments)], check=check, capture_output=True)

    def install(self, package: Path) -> None:
        shutil.copy(package, self.inside.root / "tmp/glanced.deb")
        self.inside.run("dpkg", "--install", "--force-confold", "/tmp/glanced.deb")

    def stored(self) -> int:
        said = self.inside.run("glanced", "feedback", "stats", "--json", "--log-level", "off", **self.environment).stdout
        return json.loads(said.splitlines()[-1])["labelled"]

    def test_it_is_installed_classifies_is_upgraded_and_purged(self) -> None:
        with TemporaryDirectory() as folder:
            copy = shutil.copy(PACKAGES["arm64"], folder)
            old = rebuilt(Path(copy), "0.0.9-1", lambda _: None)
            self.install(old)
        self.assertEqual(self.inside.run("dpkg", "--verify", "glanced").stdout, "")
        self.assertIn("aarch64", subprocess.run(["file", self.inside.root / "usr/bin/glanced"], capture_output=True, text=True).stdout)
        self.assertIn("ok     model efficientnet-lite0 1", self.inside.run("glanced", "check", "--no-broker").stdout)

        service = Service(self.inside, **self.environment)
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: service.stop())
            top = self.classify()
            self.assertEqual(top["label"], "espresso")
            self.assertGreater(top["score"], 0.9)

            self.say(range(3))
            self.wait_for(lambda: self.stored() == 3)
            (self.inside.root / "etc/glanced/config.toml").write_text("[service]\nstop_within_s = 120\n", "utf-8")
            self.install(PACKAGES["arm64"])
            service.stop()
            # It is away now: the broker keeps what is said.
            self.say(range(3, 6))
            service = Service(self.inside, **self.environment)
            self.say(range(6, 9))
            self.wait_for(lambda: self.stored() == 9)
            self.assertIn("stop_within_s", (self.inside.root / "etc/glanced/config.toml").read_text("utf-8"))

        self.inside.run("dpkg", "--purge", "glanced")
        for path in ("etc/glanced", "usr/bin/glanced", "usr/lib/glanced", "usr/share/glanced", "var/cache/glanced", "var/lib/glanced"):
            self.assertFalse((self.inside.root / path).exists(), path)
        self.assertNotEqual(self.inside.run("getent", "passwd", "glanced", check=False).returncode, 0)

    def say(self, numbers: range) -> None:
        for number in numbers:
            self.publish("-q", 1, "-t", "glanced/feedback", "-m", feedback(number, "espresso"))

    def classify(self) -> dict:
        listen = ["mosquitto_sub", "-p", str(self.port), "-t", "glanced/gate/top3", "-C", "1", "-W", str(int(PATIENCE))]
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
            # Until there is a result: before it has subscribed, frames go nowhere.
            self.wait_for(lambda: self.publish("-t", "cameras/gate/frame", "-f", FRAME) and listener.poll() is not None)
            return json.loads(listener.stdout.read())["top3"][0]
