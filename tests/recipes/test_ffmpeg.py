"""docs/ffmpeg.md: a camera made of ffmpeg and mosquitto_pub."""

import http.server
import os
import shutil
import signal
import tempfile
import threading
import unittest
from functools import partial
from pathlib import Path

from support import DOCS, FRAMES, eventually, find
from support.broker import Mosquitto, Peer
from support.docs import block
from support.node import Node
from support.process import Process, shell

DOCUMENT = "ffmpeg.md"


class FfmpegRecipe(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.broker = Mosquitto(self.folder)
        self.addCleanup(self.broker.stop)
        self.peer = Peer(self.broker.port, "cameras/#", "glanced/#")
        self.addCleanup(self.peer.stop)
        # The options as the document has them, without what the open broker of this test does not want.
        options = block(DOCUMENT, "options", broker_example="127.0.0.1").replace("8883", str(self.broker.port))
        options = [line for line in options.splitlines() if line.split()[0] in ("-h", "-p")]
        (self.folder / "mosquitto_pub").write_text("\n".join(options) + "\n")

    def start(self, *command: str | Path, **environment: str) -> Process:
        own = os.environ | {"XDG_CONFIG_HOME": str(self.folder), "TMPDIR": str(self.folder)} | environment
        process = Process(list(command), env=own)
        self.addCleanup(process.stop)
        return process

    def frames(self) -> list[bytes]:
        return [message.payload for message in self.peer.on("cameras/gate/frame")]

    def left_behind(self) -> list[Path]:
        return list(self.folder.glob("tmp.*"))

    def test_a_stream_becomes_frames_one_a_second(self) -> None:
        # The shown command, but for its input.
        shown = block(DOCUMENT, "rtsp").split()
        self.assertEqual(shown[:2], ["mqtt-camera", "cameras/gate/frame"])
        source = ["-re", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=10"]
        self.assertIn(f"`{' '.join(source)}`", (DOCS / DOCUMENT).read_text())
        camera = self.start(DOCS / "mqtt-camera", shown[1], *source)
        listen = block(DOCUMENT, "listen", broker_example=f"127.0.0.1 -p {self.broker.port}")
        terminal = self.start("bash", "-c", listen)
        eventually("four frames", lambda: len(self.frames()) >= 4)
        frames = self.frames()
        for frame in frames:
            self.assertEqual((frame[:3], frame[-2:]), (b"\xff\xd8\xff", b"\xff\xd9"), "a whole JPEG")
        self.assertEqual(len(set(frames)), len(frames), "each frame was sent once")
        self.assertRegex(terminal.wait_for("bytes"), r"cameras/gate/frame \d+ bytes$")
        camera.signal(signal.SIGTERM)
        self.assertEqual(camera.stop(), 143)
        self.assertEqual(self.left_behind(), [])

    def test_the_daemon_sees_what_a_video_shows_and_the_end_of_it_is_the_end(self) -> None:
        node = Node(self.folder, "box-7", mqtt__url=self.broker.url).start()
        self.addCleanup(node.stop)
        video = self.folder / "video.mp4"
        shell(f"ffmpeg -loglevel error -loop 1 -i {FRAMES}/coffee.jpg -t 3 -r 5 -vf scale=640:-2 -pix_fmt yuv420p {video}", self.folder)
        camera = self.start(DOCS / "mqtt-camera", "cameras/gate/frame", "-re", "-i", str(video), RATE="2", WIDTH="320")
        self.assertEqual(self.peer.wait("glanced/gate/top3")[0]["top3"][0]["label"], "espresso")
        eventually("the script ends with its input", camera.ended)
        self.assertEqual(camera.child.returncode, 0, camera.text())
        self.assertEqual(self.left_behind(), [])

    def test_a_camera_that_is_not_there_is_an_error(self) -> None:
        camera = self.start(DOCS / "mqtt-camera", "cameras/gate/frame", "-i", str(self.folder / "none.mp4"))
        eventually("the script ends", camera.ended)
        self.assertNotEqual(camera.child.returncode, 0)
        self.assertIn("No such file", camera.text())
        self.assertEqual(self.left_behind(), [])

    def test_frames_flow_again_when_the_broker_is_back(self) -> None:
        camera = self.start(
            DOCS / "mqtt-camera", "cameras/gate/frame", "-re", "-f", "lavfi", "-i", "testsrc=rate=10", RATE="5"
        )
        eventually("a frame", self.frames)
        port = self.broker.port
        self.broker.stop()
        camera.wait_for("the broker did not take a frame")
        self.broker = Mosquitto(self.folder, port=port)
        self.addCleanup(self.broker.stop)
        eventually("the listener is back", self.peer.client.is_connected)
        before = len(self.frames())
        eventually("more frames", lambda: len(self.frames()) > before)

    def test_a_picture_behind_a_url(self) -> None:
        shutil.copy(FRAMES / "coffee.jpg", self.folder / "snapshot.jpg")
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(self.folder))
        handler.func.log_message = lambda *_: None
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        script = block(DOCUMENT, "url").replace("192.0.2.9", f"127.0.0.1:{server.server_port}")
        loop = self.start("bash", "-euo", "pipefail", "-c", script)
        eventually("two frames", lambda: len(self.frames()) >= 2)
        self.assertEqual(set(self.frames()), {(FRAMES / "coffee.jpg").read_bytes()})
        # A camera that is away ends nothing.
        (self.folder / "snapshot.jpg").rename(self.folder / "away.jpg")
        loop.wait_for("Zero length input")
        (self.folder / "away.jpg").rename(self.folder / "snapshot.jpg")
        before = len(self.frames())
        eventually("more frames", lambda: len(self.frames()) > before)

    def test_the_unit_is_one(self) -> None:
        # As systemd splits it, it is what the script is given by hand.
        shown = block(DOCUMENT, "input").strip().removeprefix("INPUT=").split()
        self.assertEqual(shown, block(DOCUMENT, "rtsp").split()[2:])
        shown = block(DOCUMENT, "unit").replace("/usr/local/bin/mqtt-camera", "/bin/true")
        (self.folder / "mqtt-camera@.service").write_text(shown)
        unit = self.folder / "mqtt-camera@gate.service"
        unit.symlink_to("mqtt-camera@.service")
        said = shell(f"{find('systemd-analyze')} verify --man=no {unit} 2>&1 || :", self.folder)
        self.assertEqual([line for line in said.splitlines() if "mqtt-camera" in line], [])


if __name__ == "__main__":
    unittest.main()
