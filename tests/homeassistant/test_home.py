"""A camera and its node, as someone lives with them in Home Assistant."""

import unittest

from rig.announced import Component
from rig.ear import Ear, kept
from rig.home import BOX, Home, HomeCase, announcing, jpeg
from support import PATIENCE, eventually
from support.pictures import DOUBTFUL, GREEN, RED, YELLOW, plain, scene, striped

RED_FRAME, GREEN_FRAME = jpeg(plain(RED)), jpeg(plain(GREEN))


class Living(HomeCase):
    def test_the_class_follows_and_tells_what_was_before(self) -> None:
        node = announcing()
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        gate = home.announced("gate")
        sensor = home.entity(gate["class"])
        self.assertIsNone(home.until(sensor, "red")["previous"])
        result = node.cameras.show("gate", GREEN_FRAME)
        shown = home.until(sensor, "green")
        self.assertEqual((shown["previous"], shown["changed_at"]), ("red", result["received_at"]))
        image = home.entity(gate["image"])
        eventually("the picture is the new one", lambda: home.picture(image)[1] == GREEN_FRAME)
        self.assertEqual(home.complaints, [])

    def test_only_changes_are_told_at_once(self) -> None:
        # Home Assistant writes down every one that it is told.
        node = announcing(homeassistant__every_s=86_400)
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        gate = home.announced("gate")
        topics = [gate["class"].config["state_topic"], gate["image"].config["image_topic"]]
        eventually("the first is told", lambda: len(kept(node.broker, *topics)) == 2)
        ear = Ear(node.broker, *topics)
        self.addCleanup(ear.stop)
        for _ in range(5):
            node.cameras.show("gate", RED_FRAME)
        node.cameras.show("gate", GREEN_FRAME)
        eventually("another class is told, with its picture", lambda: (topics[1], GREEN_FRAME) in ear.heard)
        home.until(home.entity(gate["class"]), "green")
        self.assertEqual([topic for topic, _ in ear.heard], topics)

    def test_what_it_does_not_know_is_seen(self) -> None:
        node = announcing(classify__unknown_below=0.9)
        home = self.start(node)
        self.assertTrue(node.cameras.show("gate", jpeg(scene(1, DOUBTFUL)))["unknown"])
        unknown = home.entity(home.announced("gate")["unknown"])
        home.until(unknown, "on")
        self.assertFalse(node.cameras.show("gate", RED_FRAME)["unknown"])
        home.until(unknown, "off")
        self.assertEqual(home.complaints, [])

    def test_a_picture_is_of_the_type_that_is_said(self) -> None:
        node = announcing()
        home = self.start(node)
        png = plain(RED)
        node.cameras.show("gate", png)
        image = home.entity(home.announced("gate")["image"])
        eventually("it is there", lambda: home.state(image))
        eventually("its type is right", lambda: home.picture(image) == ("image/png", png))
        self.assertEqual(home.complaints, [])

    def test_cameras_may_have_any_name(self) -> None:
        node = announcing()
        home = self.start(node)
        names = ["front_door", "front door", "front.door", "前门", "后门", "$ü{{1}}", "x" * 200]
        for name in names:
            node.cameras.show(name, RED_FRAME)
        for name in names:
            home.until(home.entity(home.announced(name)["class"]), "red")
        self.assertEqual({device.name for device in home.devices()}, {*names, BOX})
        self.assertEqual(home.complaints, [])

    def test_all_is_unavailable_while_the_node_is_gone(self) -> None:
        node = announcing()
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        self.update(home)
        gate, box = home.announced("gate"), home.announced(BOX)
        connected = home.entity(box["connected"])
        others = [home.entity(gate[key]) for key in ("class", "unknown", "image")]
        others += [home.entity(part) for part in box.of("button") + box.of("update")]
        home.until(others[0], "red")
        home.until(connected, "on")
        self.assertEqual(node.process.stop(), 0)
        home.until(connected, "off")
        for entity in others:
            home.until(entity, "unavailable")
        node.cameras.stop()
        node.start()
        home.until(connected, "on")
        # What it last said is still there.
        home.until(others[0], "red")
        for entity in others:
            eventually(f"{entity} is back", lambda: home.state(entity).state != "unavailable")
        self.assertEqual(home.complaints, [])

    def test_its_button_has_the_node_learn(self) -> None:
        node = announcing()
        node.teach({"red": (RED, 2)})
        home = self.start(node)
        self.assertIsNone(node.get("/api/retrain")["last"])
        button = eventually("a button is announced", lambda: home.announced(BOX).of("button"))[0]
        home.touch("button.press", home.entity(button))
        last = eventually("it has looked at what there is", lambda: node.get("/api/retrain")["last"], patience=4 * PATIENCE)
        self.assertEqual(last["model"], "tints")
        self.assertEqual(home.complaints, [])

    def update(self, home: Home) -> Component:
        """Models are announced once they were looked for."""
        return eventually("an update is announced", lambda: home.announced(BOX).of("update"))[0]

    def test_a_better_model_is_an_update_that_can_be_installed(self) -> None:
        node = announcing()
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME)
        update = home.entity(self.update(home))
        shown = home.until(update, "off")
        self.assertEqual((shown["installed_version"], shown["latest_version"]), ("1", "1"))

        self.assertEqual(node.request("POST", "/api/retrain", {"promote": False}).status, 202)
        shown = home.until(update, "on")
        self.assertEqual((shown["installed_version"], shown["latest_version"]), ("1", "2"))
        self.assertTrue(shown["release_summary"])
        home.touch("update.install", update)
        shown = home.until(update, "off")
        self.assertEqual((shown["installed_version"], shown["latest_version"]), ("2", "2"))
        self.assertEqual(node.run("model", "list")["models"][0]["version"], "2")
        yellow = jpeg(striped(YELLOW, 99))
        eventually("it is in use", lambda: node.cameras.show("gate", yellow)["model"]["version"] == "2")
        # A learnt class has no name in Chinese, nor an id.
        self.assertEqual(home.until(home.entity(home.announced("gate")["class"]), "yellow")["model_version"], "2")
        self.assertEqual(home.complaints, [])


if __name__ == "__main__":
    unittest.main()
