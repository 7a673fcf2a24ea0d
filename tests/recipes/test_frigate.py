"""docs/frigate.md: the daemon with a stand-in that publishes as Frigate does, retained and on the same topics."""

import tempfile
import unittest
from pathlib import Path

from support import FRAMES, eventually
from support.broker import Mosquitto, Peer
from support.docs import block
from support.node import Node
from support.process import Process

DOCUMENT = "frigate.md"
COFFEE, PANDA = ((FRAMES / name).read_bytes() for name in ("coffee.jpg", "panda.jpg"))


class FrigateRecipe(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.broker = self.open(self.folder, "")
        self.peer = self.listen(self.broker, "glanced/#")

    def open(self, folder: Path, more: str) -> Mosquitto:
        rules = "user root\nallow_anonymous true\nlistener PORT 127.0.0.1\nlog_type all\n" + more
        broker = Mosquitto(folder, rules)
        self.addCleanup(broker.stop)
        return broker

    def listen(self, broker: Mosquitto, *filters: str, user: str = "") -> Peer:
        peer = Peer(broker.port, *filters, prepare=lambda client: user and client.username_pw_set(user))
        self.addCleanup(peer.stop)
        return peer

    def start(self, shown: str, more: str = "", **keys: object) -> Node:
        node = Node(self.folder, "box-7", block(DOCUMENT, shown) + more, **{"mqtt__url": self.broker.url} | keys)
        self.addCleanup(node.stop)
        return node.start()

    def snapshot(self, camera: str, thing: str, picture: bytes) -> None:
        self.peer.publish(f"frigate/{camera}/{thing}/snapshot", picture, retain=True)

    def test_fresh_snapshots_are_seen_and_old_ones_are_not(self) -> None:
        self.snapshot("porch", "person", PANDA)
        node = self.start("daemon")
        # What else Frigate publishes is none of our business.
        self.peer.publish("frigate/porch/person", "1")
        self.peer.publish("frigate/porch/detect/state", "ON", retain=True)
        self.snapshot("porch", "person", COFFEE)
        self.assertEqual(self.peer.wait("glanced/porch/top3")[0]["top3"][0]["label"], "espresso")
        self.snapshot("porch", "bear", PANDA)
        self.assertEqual(self.peer.wait("glanced/porch/top3", 2)[1]["top3"][0]["label"], "giant panda")
        self.assertEqual(node.metric("glanced_frames_received_total"), 2)
        self.assertEqual(node.metric("glanced_frames_dropped_total", reason="retained"), 0)

    def test_with_an_older_protocol_old_ones_are_counted(self) -> None:
        self.snapshot("porch", "person", COFFEE)
        node = self.start("daemon", mqtt__protocol="3.1.1")
        eventually("it is counted", lambda: node.metric("glanced_frames_dropped_total", reason="retained") == 1)
        self.assertEqual(self.peer.on("glanced/porch/top3"), [])

    def test_old_ones_are_seen_if_they_are_wanted(self) -> None:
        self.snapshot("porch", "person", COFFEE)
        self.start("daemon", "allow_retained = true\n")
        self.assertEqual(self.peer.wait("glanced/porch/top3")[0]["top3"][0]["label"], "espresso")

    def test_objects_can_be_cameras_of_their_own(self) -> None:
        node = self.start("daemon-by-object")
        self.snapshot("garden", "person", COFFEE)
        self.snapshot("garden", "bird", PANDA)
        self.assertEqual(self.peer.wait("glanced/garden-bird/top3")[0]["top3"][0]["label"], "giant panda")
        self.snapshot("porch", "car", COFFEE)
        self.peer.wait("glanced/car/top3")
        self.assertEqual(node.metric("glanced_frames_received_total"), 2)

    def test_the_access_list_lets_frigate_and_the_daemon_do_this_and_no_one_else(self) -> None:
        strict = self.folder / "strict"
        strict.mkdir()
        mine = block("mosquitto.md", "acl") + block(DOCUMENT, "acl")
        (strict / "acl").write_text(mine)
        broker = self.open(strict, f"acl_file {strict}/acl\n")
        frigate = self.listen(broker, user="frigate")
        ear = self.listen(broker, "frigate/#", user="dashboard")
        dashboard = self.listen(broker, "glanced/#", user="dashboard")
        self.start("daemon", mqtt__url=broker.url, mqtt__username="glanced")
        frigate.publish("frigate/porch/person/snapshot", COFFEE, retain=True)
        dashboard.wait("glanced/porch/top3")
        self.assertEqual(ear.on("frigate/porch/person/snapshot"), [])

    def test_both_can_be_watched(self) -> None:
        self.start("daemon")
        shown = block(DOCUMENT, "see", broker_example=f"127.0.0.1 -p {self.broker.port}")
        terminal = Process(["bash", "-c", shown])
        self.addCleanup(terminal.stop)

        def heard() -> bool:
            self.snapshot("porch", "person", COFFEE)
            return "glanced/porch/top3" in terminal.text() and "frigate/porch/person/snapshot" in terminal.text()

        eventually("snapshot and result", heard)


if __name__ == "__main__":
    unittest.main()
