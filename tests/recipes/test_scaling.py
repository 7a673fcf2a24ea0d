"""docs/scaling.md: three real nodes on one Mosquitto."""

import base64
import json
import shutil
import signal
import tempfile
import time
import unittest
from collections import Counter
from pathlib import Path

from support import FRAMES, eventually
from support.broker import Mosquitto, Peer
from support.docs import block, replace
from support.node import Node
from support.process import Process

DOCUMENT = "scaling.md"
COFFEE, PANDA = ((FRAMES / name).read_bytes() for name in ("coffee.jpg", "panda.jpg"))

# What the photographs show, in the model's words.
SHOWN = {
    "camera": "tripod",
    "chelsea": "Egyptian cat",
    "coffee": "espresso",
    "dam": "dam",
    "flower": "daisy",
    "motorcycle": "moped",
    "pan": "frying pan",
    "panda": "giant panda",
    "pavilion": "palace",
    "rocket": "missile",
}


class Nodes(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.broker = Mosquitto(self.folder)
        self.addCleanup(self.broker.stop)
        self.peer = Peer(self.broker.port, "glanced/#", "answers/#")
        self.addCleanup(self.peer.stop)
        self.nodes: dict[str, Node] = {}

    def start(self, name: str, toml: str) -> Node:
        node = Node(self.folder, name, replace(toml, {"mqtt://broker.example:1883": self.broker.url}))
        self.nodes[name] = node
        self.addCleanup(node.stop)
        return node.start()

    def start_three(self) -> None:
        for name in "abc":
            self.start(name, block(DOCUMENT, "shared"))

    def results(self) -> list[dict]:
        return [json.loads(m.payload) for m in list(self.peer.heard) if m.topic.endswith("/top3") and not m.retain]

    def show(self, camera: str, picture: bytes = COFFEE) -> dict:
        """Publishes a frame and waits for its result, the next one on that topic."""
        before = len(self.peer.on(f"glanced/{camera}/top3"))
        self.peer.publish(f"cameras/{camera}/frame", picture)
        return self.peer.wait(f"glanced/{camera.rpartition('/')[2]}/top3", before + 1)[-1]


class Shared(Nodes):
    def test_frames_are_split_evenly_and_each_has_one_result(self) -> None:
        self.start_three()
        for number in range(30):
            self.show(f"cam{number % 4}")
        self.assertEqual(Counter(result["node"] for result in self.results()), {"a": 10, "b": 10, "c": 10})
        # By frame and not by camera.
        self.assertEqual(len({(result["camera"], result["node"]) for result in self.results()}), 12)
        # What a node sees is in order, by the ids too.
        for name in "abc":
            frames = [result["frame"] for result in self.results() if result["node"] == name]
            self.assertEqual(frames, sorted(frames))

    def test_what_the_broker_kept_is_not_for_groups(self) -> None:
        self.peer.publish("cameras/gate/frame", PANDA, retain=True)
        self.start_three()
        self.assertEqual(self.show("gate")["top3"][0]["label"], "espresso")
        self.assertEqual(sum(node.metric("glanced_frames_received_total") for node in self.nodes.values()), 1)

    def test_a_killed_node_is_not_missed(self) -> None:
        self.start_three()
        self.nodes["c"].kill()
        for _ in range(12):
            self.show("gate")
        self.assertEqual(Counter(result["node"] for result in self.results()), {"a": 6, "b": 6})

    def test_a_node_that_hangs_is_left_out_after_one_and_a_half_keep_alives(self) -> None:
        self.start_three()
        self.nodes["b"].process.signal(signal.SIGSTOP)
        self.addCleanup(self.nodes["b"].process.signal, signal.SIGCONT)
        began = time.monotonic()
        gone = lambda: any(m.payload == b"offline" for m in self.peer.on("glanced/nodes/b/status"))  # noqa: E731
        eventually("the broker notices", gone)
        self.assertLess(time.monotonic() - began, 15)
        for _ in range(12):
            self.show("gate")
        self.assertEqual(Counter(result["node"] for result in self.results()), {"a": 6, "c": 6})


class Feedback(Nodes):
    """The table of the document."""

    def setUp(self) -> None:
        super().setUp()
        self.start_three()

    def say(self, name: str, answers: int, **said: str) -> list[dict]:
        """What is answered, once every node has heard it."""
        topic = f"answers/{name}"
        before = self.heard()
        self.peer.publish("glanced/feedback", said, 1, topic)
        eventually("every node hears it", lambda: self.heard() == before + 3)
        self.peer.wait(topic, answers)
        # Answers go out when a node has counted; what the others would have said comes before what is asked after it.
        for node in self.nodes:
            self.peer.publish("glanced/feedback", {"node": node}, 1, f"answers/{name}/{node}")
            self.peer.wait(f"answers/{name}/{node}")
        found = self.peer.wait(topic, answers)
        self.assertEqual(len(found), answers, found)
        return found

    def heard(self) -> int:
        outcomes = ("stored", "known", "refused", "elsewhere")
        return sum(n.metric("glanced_feedback_total", outcome=o) for n in self.nodes.values() for o in outcomes)

    def stored_by(self) -> list[str]:
        counts = ((name, node.metric("glanced_feedback_total", outcome="stored")) for name, node in self.nodes.items())
        return [name for name, count in counts if count]

    def test_by_frame_and_node_there_is_one_answer(self) -> None:
        seen = self.show("gate")
        (answer,) = self.say("1", 1, frame=seen["frame"], node=seen["node"], label="cup")
        self.assertEqual((answer["stored"], answer["node"]), (True, seen["node"]))
        self.assertEqual(self.stored_by(), [seen["node"]])

    def test_by_frame_alone_every_node_answers(self) -> None:
        seen = self.show("gate")
        answers = self.say("2", 3, frame=seen["frame"], label="cup")
        self.assertEqual({a["node"]: a["stored"] for a in answers}, {name: name == seen["node"] for name in "abc"})
        self.assertIn("no longer held here", next(answer["error"] for answer in answers if not answer["stored"]))
        self.assertEqual(self.stored_by(), [seen["node"]])

    def test_a_picture_is_stored_by_all_or_by_the_one_that_is_named(self) -> None:
        picture = {"image": base64.b64encode(PANDA).decode(), "camera": "zoo", "label": "giant panda"}
        (answer,) = self.say("3", 1, **picture, node="b")
        self.assertEqual((answer["stored"], answer["node"], self.stored_by()), (True, "b", ["b"]))
        answers = self.say("4", 3, **picture)
        self.assertEqual(Counter(answer["stored"] for answer in answers), {True: 3})
        self.assertEqual(self.stored_by(), ["a", "b", "c"])

    def test_the_shown_command_is_answered_once(self) -> None:
        seen = self.show("gate")
        shown = block(DOCUMENT, "feedback", broker_example=f"127.0.0.1 -p {self.broker.port}")
        shown = replace(shown, {"01M867DHHQTYN09X41S3SXWD3Z": seen["frame"], "box-7": seen["node"]})
        asker = Process(["bash", "-c", shown])
        self.addCleanup(asker.stop)
        self.assertIs(json.loads(asker.wait_for("stored"))["stored"], True)

    def test_it_waits_for_the_node_that_is_named(self) -> None:
        seen = self.show("gate")
        self.nodes[seen["node"]].stop()
        picture = base64.b64encode(COFFEE).decode()
        self.peer.publish(
            "glanced/feedback", {"image": picture, "camera": "gate", "label": "cup", "node": seen["node"]}, 1, "answers/5"
        )
        self.nodes[seen["node"]].start()
        (answer,) = self.peer.wait("answers/5")
        self.assertEqual((answer["stored"], answer["node"]), (True, seen["node"]))

    def test_a_request_is_answered_by_one_node(self) -> None:
        for number in range(6):
            self.peer.publish("glanced/classify", COFFEE, 1, f"answers/request{number}")
            self.peer.wait(f"answers/request{number}")
        asked = [node.metric("glanced_requests_total", outcome="answered") for node in self.nodes.values()]
        self.assertEqual(asked, [2, 2, 2])


class Parts(Nodes):
    def test_each_node_has_cameras_of_its_own_in_order(self) -> None:
        shown = block(DOCUMENT, "part")
        self.start("a", shown)
        self.start("b", replace(shown, {"cameras/north/": "cameras/south/"}))
        for _ in range(5):
            for camera in ("north/gate", "north/yard", "south/barn"):
                before = len(self.results())
                self.peer.publish(f"cameras/{camera}/frame", COFFEE)
                eventually("its result", lambda: len(self.results()) > before)  # noqa: B023
        where = {(result["camera"], result["node"]) for result in self.results()}
        self.assertEqual(where, {("gate", "a"), ("yard", "a"), ("barn", "b")})
        for camera in ("gate", "yard", "barn"):
            frames = [result["frame"] for result in self.results() if result["camera"] == camera]
            self.assertEqual((len(frames), frames), (5, sorted(frames)))


class Learning(Nodes):
    def test_a_version_that_is_copied_is_taken_over(self) -> None:
        teacher, other = (self.start(name, block(DOCUMENT, "shared")) for name in ("box-7", "box-8"))
        # A version made here, by calibration; training makes one in the same form.
        for picture, label in SHOWN.items():
            folder = self.folder / "labelled" / label
            folder.mkdir(parents=True)
            for copy in range(10):
                shutil.copy(FRAMES / f"{picture}.jpg", folder / f"{copy}.jpg")
        made = teacher.run("calibrate", str(self.folder / "labelled"))
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        model = "models/efficientnet-lite0"
        shutil.copytree(teacher.folder / model / "2", other.folder / model / "2")
        script = block(DOCUMENT, "copy").splitlines()
        self.assertIn("glanced model promote 2", script[-1])
        done = other.run("model", "promote", "2")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        def both() -> bool:
            self.show("gate")
            versions = {result["node"]: result["model"]["version"] for result in self.results()}
            return versions == {"box-7": "2", "box-8": "2"}

        eventually("both answer with it", both)


if __name__ == "__main__":
    unittest.main()
