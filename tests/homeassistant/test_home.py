"""A camera and its node, as someone lives with them in Home Assistant."""

import unittest

from rig.ear import Ear, kept
from rig.home import BOX, CONFIGS, HomeCase, announcing, jpeg
from support import PATIENCE, eventually
from support.pictures import DOUBTFUL, GREEN, RED, YELLOW, plain, scene, striped

RED_FRAME, GREEN_FRAME = jpeg(plain(RED)), jpeg(plain(GREEN))


class Living(HomeCase):
    def test_the_label_follows_and_tells_what_was_before(self) -> None:
        node = announcing()
        home = self.start(node)
        first = node.cameras.show("gate", RED_FRAME)
        gate = home.announced("gate")
        sensor = home.entity(gate.one("sensor"))
        self.assertIsNone(home.until(sensor, "red")["previous"])
        second = node.cameras.show("gate", GREEN_FRAME)
        shown = home.until(sensor, "green")
        self.assertEqual(shown["previous"], "red")
        self.assertNotEqual(first["received_at"], second["received_at"])
        self.assertEqual(shown["changed_at"], second["received_at"])
        image = home.entity(gate.one("image"))
        eventually("the picture is the new one", lambda: home.picture(image)[1] == GREEN_FRAME)
        self.assertEqual(home.complaints, [])

    def test_only_changes_are_told_at_once(self) -> None:
        # Home Assistant writes down every one that it is told.
        node = announcing(homeassistant__every_s=86_400)
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        gate = home.announced("gate")
        state, image = gate.one("sensor").config["state_topic"], gate.one("image").config["image_topic"]
        eventually("the first is told", lambda: len(kept(node.broker, state, image)) == 2)
        ear = Ear(node.broker, state, image)
        self.addCleanup(ear.stop)
        for _ in range(5):
            node.cameras.show("gate", RED_FRAME)
        node.cameras.show("gate", GREEN_FRAME)
        home.until(home.entity(gate.one("sensor")), "green")
        self.assertEqual(sorted(topic for topic, _ in ear.heard), sorted([state, image]))

    def test_what_it_does_not_know_is_a_problem(self) -> None:
        node = announcing(classify__unknown_below=0.9)
        home = self.start(node)
        self.assertTrue(node.cameras.show("gate", jpeg(scene(1, DOUBTFUL)))["unknown"])
        problem = home.entity(home.announced("gate").one("binary_sensor"))
        home.until(problem, "on")
        self.assertFalse(node.cameras.show("gate", RED_FRAME)["unknown"])
        home.until(problem, "off")
        self.assertEqual(home.complaints, [])

    def test_cameras_may_have_any_name(self) -> None:
        node = announcing()
        home = self.start(node)
        names = ["front_door", "front door", "front.door", "前门", "后门", "$ü{{1}}"]
        for name in names:
            node.cameras.show(name, RED_FRAME)
        for name in names:
            home.until(home.entity(home.announced(name).one("sensor")), "red")
        self.assertEqual({device.name for device in home.devices()}, {*names, BOX})
        self.assertEqual(home.complaints, [])

    def test_all_is_unavailable_while_the_node_is_gone(self) -> None:
        node = announcing()
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        gate, box = home.announced("gate"), home.announced(BOX)
        entities = [home.entity(part) for device in (gate, box) for part in device.components.values()]
        sensor = home.entity(gate.one("sensor"))
        home.until(sensor, "red")
        self.assertEqual(node.process.stop(), 0)
        for entity in entities:
            home.until(entity, "unavailable")
        node.cameras.stop()
        node.start()
        # What it last said is still there.
        home.until(sensor, "red")
        for entity in entities:
            eventually(f"{entity} is back", lambda: home.state(entity).state != "unavailable")
        self.assertEqual(home.complaints, [])

    def test_its_button_has_the_node_learn(self) -> None:
        node = announcing()
        node.teach({"red": (RED, 2)})
        home = self.start(node)
        self.assertIsNone(node.get("/api/retrain")["last"])
        home.touch("button.press", home.entity(home.announced(BOX).one("button")))
        last = eventually("it has looked at what there is", lambda: node.get("/api/retrain")["last"], 4 * PATIENCE)
        self.assertEqual(last["model"], "tints")
        self.assertEqual(home.complaints, [])

    def test_a_better_model_is_an_update_that_can_be_installed(self) -> None:
        node = announcing()
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        update = home.entity(home.announced(BOX).one("update"))
        self.assertEqual(versions(home.until(update, "off")), ("1", "1"))

        self.assertEqual(node.request("POST", "/api/retrain", {"promote": False}).status, 202)
        self.assertEqual(versions(home.until(update, "on")), ("1", "2"))
        home.touch("update.install", update)
        self.assertEqual(versions(home.until(update, "off")), ("2", "2"))
        self.assertEqual(node.run("model", "list")["models"][0]["version"], "2")
        yellow = jpeg(striped(YELLOW, 99))
        eventually("it is in use", lambda: node.cameras.show("gate", yellow)["model"]["version"] == "2")
        # A learnt class has no name in Chinese, nor an id.
        self.assertEqual(home.until(home.entity(home.announced("gate").one("sensor")), "yellow")["model_version"], "2")
        self.assertEqual(home.complaints, [])


class Announcing(HomeCase):
    def test_a_home_that_starts_is_told_again(self) -> None:
        node = announcing()
        self.addCleanup(node.stop)
        node.start()
        node.cameras.show("gate", RED_FRAME)
        eventually("both are announced", lambda: len(kept(node.broker, CONFIGS)) == 2)
        # A broker that lost what it kept.
        ear = Ear(node.broker)
        self.addCleanup(ear.stop)
        for topic in kept(node.broker, CONFIGS):
            ear.say(topic, "", retain=True)
        self.assertEqual(kept(node.broker, CONFIGS), {})
        home = self.home(node)
        home.until(home.entity(home.announced("gate").one("sensor")), "red")

    def test_a_node_that_announces_no_longer_takes_back_what_it_did(self) -> None:
        node = announcing()
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        sensor = home.entity(home.announced("gate").one("sensor"))
        home.until(sensor, "red")
        stranger = {"homeassistant/device/boiler/config": b'{"dev":{"ids":"boiler"},"o":{"name":"other"},"cmps":{}}'}
        ear = Ear(node.broker)
        self.addCleanup(ear.stop)
        for topic, payload in stranger.items():
            ear.say(topic, payload, retain=True)
        node.set("homeassistant__discovery", False)
        node.restart()
        eventually("nothing of it is announced", lambda: kept(node.broker, CONFIGS) == stranger)
        eventually("it is gone from the home", lambda: home.state(sensor) is None and not home.devices())


def versions(attributes: dict) -> tuple[str, str]:
    return attributes["installed_version"], attributes["latest_version"]


if __name__ == "__main__":
    unittest.main()
