"""docs/node-red.md: the flow in a real Node-RED, between a real broker and a real daemon."""

import json
import os
import tempfile
import unittest
import urllib.request
from pathlib import Path

from support import DOCS, FRAMES, NODE_PACKAGES, PATIENCE, ROOT, eventually, find, free_port
from support.broker import Mosquitto, Peer
from support.docs import block
from support.node import HTTP, Node
from support.process import Process

DOCUMENT = "node-red.md"
# Nothing but what a flow needs to run; the editor's own files would only take time.
SETTINGS = """module.exports = {
    uiHost: "127.0.0.1", uiPort: PORT, flowFile: "flow.json", credentialSecret: false, telemetry: {enabled: false},
    httpAdminRoot: "/", disableEditor: true, logging: {console: {level: "info", metrics: false, audit: false}},
};
"""


class NodeRedRecipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.broker = Mosquitto(cls.folder)
        cls.addClassCleanup(cls.broker.stop)
        cls.node = Node(cls.folder, "box-7", block(DOCUMENT, "daemon"), mqtt__url=cls.broker.url).start()
        cls.addClassCleanup(cls.node.stop)
        cls.flow = json.loads((DOCS / "node-red.json").read_text("utf-8"))
        cls.red, cls.port = cls.start_node_red()
        cls.addClassCleanup(cls.red.stop)

    @classmethod
    def start_node_red(cls) -> tuple[Process, int]:
        user, port = cls.folder / "node-red", free_port()
        user.mkdir()
        (user / "settings.js").write_text(SETTINGS.replace("PORT", str(port)))
        (broker,) = (node for node in cls.flow if node["type"] == "mqtt-broker")
        broker["broker"], broker["port"] = "127.0.0.1", str(cls.broker.port)
        (user / "flow.json").write_text(json.dumps(cls.flow))
        program = NODE_PACKAGES / "node-red/red.js"
        red = Process([find("node"), program, "--userDir", user], env=os.environ | {"HOME": str(user)}, cwd=user)
        red.wait_for("Started flows")
        red.wait_for("Connected to broker")
        return red, port

    def setUp(self) -> None:
        self.peer = Peer(self.broker.port, "glanced/#", "notices/#", "answers/#")
        self.addCleanup(self.peer.stop)

    def show(self, camera: str, picture: str) -> dict:
        self.peer.heard.clear()
        self.peer.publish(f"cameras/{camera}/frame", (FRAMES / picture).read_bytes())
        return self.peer.wait(f"glanced/{camera}/top3")[0]

    def press(self, name: str) -> None:
        (button,) = (node["id"] for node in self.flow if node.get("name") == name)
        HTTP.open(urllib.request.Request(f"http://127.0.0.1:{self.port}/inject/{button}", b"", method="POST"), timeout=PATIENCE)

    def notices(self) -> list[str]:
        return [message.payload.decode() for message in self.peer.on("notices/glanced")]

    def test_what_is_sure_is_shown_and_no_notice_is_sent(self) -> None:
        result = self.show("yard", "coffee.jpg")
        self.assertGreater(result["top3"][0]["score"], 0.6)
        self.red.wait_for("yard: espresso")
        self.assertEqual(self.notices(), [])

    def test_a_notice_and_the_buttons(self) -> None:
        script = block(DOCUMENT, "try", broker_example=f"127.0.0.1 -p {self.broker.port}")
        terminal = Process(["bash", "-c", script + "wait"], cwd=ROOT)
        self.addCleanup(terminal.stop)
        terminal.wait_for(block(DOCUMENT, "notice").strip())
        asked = self.peer.wait("glanced/gate/top3")[0]
        self.assertFalse(asked["unknown"])
        # Once a minute, and the buttons are about the frame of the notice, not about this one.
        later = self.show("gate", "chelsea.jpg")
        self.assertNotEqual(later["frame"], asked["frame"])
        for button, label in (("gate: it was an espresso", "espresso"), ("gate: the first was right", "tiger cat")):
            self.peer.heard.clear()
            self.press(button)
            self.assertTrue(self.peer.wait("answers/node-red")[0]["stored"])
            said = json.loads(self.node.run("feedback", "list", "--json").stdout)["feedback"]
            self.assertEqual({(each["frame"], each["by"]) for each in said}, {(asked["frame"], "node-red")})
            self.assertIn(label, [each["statement"]["label"] for each in said])
        # Pressed twice is said once.
        self.press("gate: the first was right")
        self.peer.wait("answers/node-red", 2)
        self.assertEqual(self.node.metric("glanced_feedback_total", outcome="stored"), 2)
        self.red.wait_for("stored: true")
        self.assertEqual(self.notices(), [])

    def test_what_is_unknown_makes_a_notice(self) -> None:
        # No picture is so dubious: the daemon's own result, but for that word.
        result = self.show("barn", "coffee.jpg") | {"camera": "shed", "unknown": True}
        self.peer.publish("glanced/shed/top3", result)
        eventually("the notice", self.notices)
        self.assertEqual(self.notices(), ["shed: is it espresso, cup or consomme?"])


if __name__ == "__main__":
    unittest.main()
