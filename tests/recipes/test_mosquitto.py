"""docs/mosquitto.md: the broker as the document makes it, with a camera that behaves, one that does not, and the daemon."""

import base64
import tempfile
import unittest
from pathlib import Path

from support import FRAMES, eventually, free_port
from support.broker import Mosquitto, Peer
from support.docs import block
from support.node import Node
from support.process import Process, shell

DOCUMENT = "mosquitto.md"


class MosquittoRecipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.etc = cls.folder / "etc"
        cls.etc.mkdir()
        for name in ("certificates", "users", "client-certificate"):
            shell(cls.shown(name), cls.folder)
        (cls.etc / "acl").write_text(cls.shown("acl"))
        cls.passwords = dict(line.split(":") for line in (cls.etc / "users.txt").read_text().split())
        cls.strict = free_port()
        cls.broker = cls.start_broker()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.broker.stop()

    @classmethod
    def start_broker(cls, port: int | None = None) -> Mosquitto:
        # What Debian's own mosquitto.conf has, and root, for the keys are in a folder of root's.
        rules = f"user root\nlog_type all\npersistence true\npersistence_location {cls.folder}/\n"
        rules += cls.shown("broker").replace("8883", "PORT")
        rules += cls.shown("broker-certificates").replace("8884", str(cls.strict))
        return Mosquitto(cls.folder, rules, port)

    @classmethod
    def shown(cls, name: str) -> str:
        """A block with the folder and the broker of the test."""
        return block(DOCUMENT, name).replace("/etc/mosquitto", str(cls.etc)).replace("broker.example", "localhost")

    def run_shown(self, name: str, folder: Path = FRAMES) -> str:
        script = self.shown(name).replace("8883", str(self.broker.port))
        return shell("exec 2>&1\n" + script, folder, GATE=self.passwords["gate"], DASHBOARD=self.passwords["dashboard"])

    def peer(self, user: str, *filters: str) -> Peer:
        def prepare(client) -> None:
            client.tls_set(str(self.etc / "certs/ca.crt"))
            client.username_pw_set(user, self.passwords[user])

        peer = Peer(self.broker.port, *filters, prepare=prepare)
        self.addCleanup(peer.stop)
        return peer

    def node(self, name: str, shown: str) -> Node:
        toml = self.shown(shown).replace("8883", str(self.broker.port)).replace("8884", str(self.strict))
        own = self.folder / f"{name}-etc"
        own.mkdir()
        for file in ("ca.crt", "glanced.crt", "glanced.key"):
            (own / file).write_bytes((self.etc / "certs" / file).read_bytes())
        (own / "mqtt-password").write_text(self.passwords["glanced"] + "\n")
        node = Node(self.folder, name, toml.replace("/etc/glanced/", f"{own}/"))
        self.addCleanup(node.stop)
        return node

    def test_the_daemon_does_all_that_it_does(self) -> None:
        node = self.node("box-7", "daemon").start()
        check = node.run("check")
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        dashboard = self.peer("dashboard", "glanced/#", "answers/dashboard/#")
        eventually("its status", lambda: [m for m in dashboard.heard if m.topic == "glanced/nodes/box-7/status"])
        self.run_shown("camera")
        (result,) = dashboard.wait("glanced/gate/top3")
        self.assertEqual((result["camera"], result["top3"][0]["label"]), ("gate", "espresso"))
        dashboard.publish("glanced/feedback", {"frame": result["frame"], "verdict": "correct"}, 1, "answers/dashboard/1")
        (answer,) = dashboard.wait("answers/dashboard/1")
        self.assertTrue(answer["stored"], answer)
        dashboard.publish("glanced/classify", (FRAMES / "coffee.jpg").read_bytes(), 1, "answers/dashboard/2")
        self.assertIn("top3", dashboard.wait("answers/dashboard/2")[0])
        # A kill: the broker says for it that it is gone.
        node.kill()
        eventually("its last will", lambda: [m for m in dashboard.on("glanced/nodes/box-7/status") if m.payload == b"offline"])

    def test_feedback_waits_for_the_daemon_even_if_the_broker_is_restarted(self) -> None:
        node = self.node("box-8", "daemon").start()
        node.stop()
        dashboard = self.peer("dashboard")
        picture = base64.b64encode((FRAMES / "coffee.jpg").read_bytes()).decode()
        dashboard.publish("glanced/feedback", {"image": picture, "camera": "gate", "label": "cup"}, 1)
        port = self.broker.port
        self.broker.stop()
        type(self).broker = self.start_broker(port)
        node.start()
        eventually("what was said meanwhile", lambda: node.metric("glanced_feedback_total", outcome="stored") == 1)

    def test_a_camera_can_not_publish_as_another_one(self) -> None:
        ear = self.peer("glanced", "cameras/#")
        self.assertIn("Not authorized", self.run_shown("impostor"))
        self.run_shown("camera")
        eventually("the camera's own frame", lambda: ear.on("cameras/gate/frame"))
        self.assertEqual(ear.on("cameras/yard/frame"), [])
        self.assertTrue(any("Denied PUBLISH" in line for line in self.broker.process.lines), self.broker.process.text())

    def test_a_dashboard_sees_results_and_no_frames(self) -> None:
        everything = self.peer("dashboard", "#")
        daemon = self.peer("glanced", "cameras/#")
        self.run_shown("camera")
        eventually("the frame, for the daemon", lambda: daemon.on("cameras/gate/frame"))
        daemon.publish("glanced/gate/top3", "{}")
        everything.wait("glanced/gate/top3")
        self.assertEqual(everything.on("cameras/gate/frame"), [])

    def test_who_does_not_log_in_gets_nowhere(self) -> None:
        ca = self.etc / "certs/ca.crt"
        refused = f"! mosquitto_pub -h localhost -p {self.broker.port} --cafile {ca} -t cameras/gate/frame -m x 2>&1"
        self.assertIn("not authorised", shell(refused, self.folder).lower())
        # Nor without a certificate, where one is wanted.
        shell(f"! mosquitto_pub -h localhost -p {self.strict} --cafile {ca} -t cameras/gate/frame -m x 2>&1", self.folder)

    def test_a_certificate_does_instead_of_a_password(self) -> None:
        node = self.node("box-9", "daemon-certificate").start()
        dashboard = self.peer("dashboard", "glanced/#")
        self.run_shown("camera")
        self.assertEqual(dashboard.wait("glanced/gate/top3")[0]["top3"][0]["label"], "espresso")
        self.assertEqual(node.metric("glanced_results_total", model="efficientnet-lite0", version="1"), 1)

    def test_the_daemon_says_what_is_wrong_with_certificates(self) -> None:
        other = self.node("box-10", "daemon")
        other.toml = other.toml.replace("localhost", "127.0.0.1")
        said = other.run("check")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("not valid for name", said.stdout + said.stderr)
        (self.folder / "box-10-etc/ca.crt").write_bytes((self.etc / "certs/glanced.crt").read_bytes())
        other.toml = other.toml.replace("127.0.0.1", "localhost")
        said = other.run("check")
        self.assertIn("UnknownIssuer", said.stdout + said.stderr)

    def test_the_terminal_that_listens_shows_results(self) -> None:
        script = self.shown("listen").replace("8883", str(self.broker.port))
        terminal = Process(["bash", "-c", script], env={"DASHBOARD": self.passwords["dashboard"], "PATH": "/usr/bin:/bin"})
        self.addCleanup(terminal.stop)
        glanced = self.peer("glanced")

        def heard() -> bool:
            glanced.publish("glanced/gate/top3", '{"said": 1}')
            return any(line == 'glanced/gate/top3 {"said": 1}' for line in terminal.lines)

        eventually("the terminal shows it", heard)


if __name__ == "__main__":
    unittest.main()
