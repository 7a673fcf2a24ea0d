"""docs/esp32-cam.md: ESPHome accepts the configuration, and a picture that comes in small pieces arrives."""

import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import DOCS, FRAMES
from support.broker import Mosquitto, Peer
from support.docs import block
from support.node import Node
from support.process import shell

DOCUMENT = "esp32-cam.md"


class SmallBoard:
    """Speaks MQTT 3.1.1 as a board does: one packet, written in pieces, with pauses between them."""

    def __init__(self, port: int, user: str, ca: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        self.socket = context.wrap_socket(socket.create_connection(("localhost", port)), server_hostname="localhost")
        name = text("board") + text(user) + text("secret")
        self.socket.sendall(packet(0x10, text("MQTT") + bytes([4, 0b11000010, 0, 15]) + name))
        assert self.socket.recv(4) == b"\x20\x02\0\0", "the broker does not let it in"

    def publish(self, topic: str, picture: bytes, piece: int = 1024, cut: int | None = None) -> None:
        """`cut`: the connection is lost after so many bytes."""
        message = packet(0x30, text(topic) + picture)[:cut]
        for start in range(0, len(message), piece):
            self.socket.sendall(message[start : start + piece])
            time.sleep(0.002)  # as a radio: no synchronisation, the stream only has gaps
        if cut:
            self.close()

    def close(self) -> None:
        self.socket.close()


def text(string: str) -> bytes:
    return len(string).to_bytes(2, "big") + string.encode()


def packet(kind: int, body: bytes) -> bytes:
    length, left = b"", len(body)
    while True:
        left, low = left >> 7, left & 0x7F
        length += bytes([low | (0x80 if left else 0)])
        if not left:
            return bytes([kind]) + length + body


class Esp32CamRecipe(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def test_a_picture_in_pieces_is_one_frame(self) -> None:
        def shown(name: str) -> str:
            text = block("mosquitto.md", name).replace("/etc/mosquitto", str(self.folder))
            return text.replace("broker.example", "localhost")

        shell(shown("certificates"), self.folder)
        (self.folder / "acl").write_text(shown("acl"))
        (self.folder / "passwd").write_text("glanced:secret\ngate:secret\n")
        shell(f"mosquitto_passwd -U {self.folder}/passwd", self.folder)
        broker = Mosquitto(self.folder, "user root\n" + shown("broker").replace("8883", "PORT"))
        self.addCleanup(broker.stop)
        ca, password = self.folder / "certs/ca.crt", self.folder / "password"
        password.write_text("secret")
        keys = {"url": f"mqtts://localhost:{broker.port}", "ca_file": ca, "username": "glanced", "password_file": password}
        node = Node(self.folder, "box-7", **{f"mqtt__{key}": value for key, value in keys.items()}).start()
        self.addCleanup(node.stop)

        def prepare(client) -> None:
            client.tls_set(str(ca))
            client.username_pw_set("glanced", "secret")

        peer = Peer(broker.port, "cameras/#", "glanced/+/top3", prepare=prepare)
        self.addCleanup(peer.stop)
        picture = (FRAMES / "coffee.jpg").read_bytes()
        # One that is lost half-way is no frame at all.
        SmallBoard(broker.port, "gate", ca).publish("cameras/gate/frame", picture, cut=20_000)
        board = SmallBoard(broker.port, "gate", ca)
        self.addCleanup(board.close)
        board.publish("cameras/gate/frame", picture)
        self.assertEqual(peer.wait("glanced/gate/top3")[0]["top3"][0]["label"], "espresso")
        self.assertEqual([message.payload for message in peer.on("cameras/gate/frame")], [picture])
        self.assertEqual(node.metric("glanced_frames_received_total"), 1)

    @unittest.skipUnless(shutil.which("esphome"), "esphome is not installed (pip install esphome==2026.6.5)")
    def test_esphome_accepts_the_configuration_and_generates_the_call(self) -> None:
        shutil.copy(DOCS / "esp32-cam.yaml", self.folder)
        (self.folder / "secrets.yaml").write_text(block(DOCUMENT, "secrets"))
        command = ["esphome", "compile", "--only-generate", "esp32-cam.yaml"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("deprecated", done.stdout + done.stderr)
        (generated,) = self.folder.glob(".esphome/build/*/src/main.cpp")
        self.assertIn('client->publish("cameras/gate/frame", ', generated.read_text())

    def test_the_configuration_names_the_camera_once_and_for_all(self) -> None:
        text = (DOCS / "esp32-cam.yaml").read_text()
        self.assertIn("username: gate\n", text)
        self.assertIn('publish("cameras/gate/frame"', text)
        named = {line.split("!secret ")[1] for line in text.splitlines() if "!secret" in line}
        given = {line.strip().split(":")[0] for line in block(DOCUMENT, "secrets").splitlines() if ": " in line}
        self.assertEqual(named, given)


if __name__ == "__main__":
    unittest.main()
