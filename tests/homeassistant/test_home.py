"""A camera and its node, as someone lives with them in Home Assistant."""

import unittest

from rig.ear import Ear, kept
from rig.home import CONFIGS, NODE, HomeCase, announcing, jpeg
from support import PATIENCE, eventually
from support.pictures import DOUBTFUL, GREEN, RED, YELLOW, plain, scene, striped


class Home(HomeCase):
    def test_the_label_follows_and_tells_what_was_before(self) -> None:
        node = self.start(announcing())
        core = self.home(node)
        first = node.cameras.show("gate", jpeg(plain(RED)))
        sensor = self.entity(core, self.device(core, node, "gate").one("sensor"))
        self.assertIsNone(self.until(core, sensor, "red")["previous"])
        second = node.cameras.show("gate", jpeg(plain(GREEN)))
        attributes = self.until(core, sensor, "green")
        self.assertEqual(attributes["previous"], "red")
        self.assertEqual(attributes["changed_at"], second["received_at"])
        self.assertNotEqual(attributes["changed_at"], first["received_at"])
        picture = self.entity(core, self.device(core, node, "gate").one("image"))
        eventually("the picture is the new one", lambda: core.picture(picture)[1] == jpeg(plain(GREEN)))
        self.assertEqual(core.complaints, [])

    def test_what_it_does_not_know_is_a_problem(self) -> None:
        node = self.start(announcing(classify__unknown_below=0.9))
        core = self.home(node)
        self.assertTrue(node.cameras.show("gate", jpeg(scene(1, DOUBTFUL)))["unknown"])
        problem = self.entity(core, self.device(core, node, "gate").one("binary_sensor"))
        self.until(core, problem, "on")
        self.assertFalse(node.cameras.show("gate", jpeg(plain(RED)))["unknown"])
        self.until(core, problem, "off")
        self.assertEqual(core.complaints, [])

    def test_all_is_unavailable_while_the_node_is_gone(self) -> None:
        node = self.start(announcing())
        core = self.home(node)
        node.cameras.show("gate", jpeg(plain(RED)))
        gate, box = self.device(core, node, "gate"), self.device(core, node, f"glanced {NODE}")
        entities = [self.entity(core, part) for device in (gate, box) for part in device.components.values()]
        self.until(core, self.entity(core, gate.one("sensor")), "red")
        self.assertEqual(node.process.stop(), 0)
        for entity in entities:
            self.until(core, entity, "unavailable")
        node.cameras.stop()
        node.start()
        # What it last said is still there.
        self.until(core, self.entity(core, gate.one("sensor")), "red")
        for entity in entities:
            eventually(f"{entity} is back", lambda: core.state(entity).state != "unavailable")
        self.assertEqual(core.complaints, [])

    def test_its_button_has_the_node_learn(self) -> None:
        node = announcing()
        node.teach({"red": (RED, 2)})
        core = self.home(self.start(node))
        self.assertIsNone(node.get("/api/retrain")["last"])
        button = self.device(core, node, f"glanced {NODE}").one("button")
        self.touch(core, "button.press", self.entity(core, button))
        last = eventually("it has learnt", lambda: node.get("/api/retrain")["last"], 4 * PATIENCE)
        self.assertEqual(last["model"], "tints")

    def test_a_better_model_is_an_update_that_can_be_installed(self) -> None:
        node = announcing()
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
        core = self.home(self.start(node))
        node.cameras.show("gate", jpeg(plain(RED)))
        update = self.entity(core, self.device(core, node, f"glanced {NODE}").one("update"))
        attributes = self.until(core, update, "off")
        self.assertEqual((attributes["installed_version"], attributes["latest_version"]), ("1", "1"))

        self.assertEqual(node.request("POST", "/api/retrain", {"promote": False}).status, 202)
        attributes = self.until(core, update, "on")
        self.assertEqual((attributes["installed_version"], attributes["latest_version"]), ("1", "2"))
        self.touch(core, "update.install", update)
        attributes = self.until(core, update, "off")
        self.assertEqual((attributes["installed_version"], attributes["latest_version"]), ("2", "2"))
        self.assertEqual(node.run("model", "list")["models"][0]["version"], "2")
        sensor = self.entity(core, self.device(core, node, "gate").one("sensor"))
        eventually("it is in use", lambda: node.cameras.show("gate", jpeg(striped(YELLOW, 99)))["model"]["version"] == "2")
        self.assertEqual(self.until(core, sensor, "yellow")["model_version"], "2")
        self.assertEqual(core.complaints, [])

    def test_a_home_that_starts_is_told_again(self) -> None:
        node = self.start(announcing())
        node.cameras.show("gate", jpeg(plain(RED)))
        ear = Ear(node.broker, CONFIGS)
        self.addCleanup(ear.stop)
        eventually("both are announced", lambda: len(kept(node.broker, CONFIGS)) == 2)
        # A broker that lost what it kept.
        for topic in kept(node.broker, CONFIGS):
            ear.say(topic, "", retain=True)
        self.assertEqual(kept(node.broker, CONFIGS), {})
        core = self.home(node)
        self.until(core, self.entity(core, self.device(core, node, "gate").one("sensor")), "red")

    def test_a_node_that_no_longer_announces_takes_back_what_it_did(self) -> None:
        node = self.start(announcing())
        core = self.home(node)
        node.cameras.show("gate", jpeg(plain(RED)))
        sensor = self.entity(core, self.device(core, node, "gate").one("sensor"))
        self.until(core, sensor, "red")
        stranger = ("homeassistant/device/boiler/config", b'{"dev":{"ids":"boiler"},"o":{"name":"other"},"cmps":{}}')
        ear = Ear(node.broker)
        self.addCleanup(ear.stop)
        ear.say(*stranger, retain=True)
        node.set("homeassistant__discovery", False)
        node.restart()
        eventually("nothing of it is announced", lambda: kept(node.broker, CONFIGS) == dict([stranger]))
        eventually("it is gone from the home", lambda: core.state(sensor) is None and not core.devices())


if __name__ == "__main__":
    unittest.main()
