"""Fifty cameras, of which Home Assistant hears by itself."""

import io
import json
import unittest

from rig.ear import kept
from rig.home import BOX, Home, announcing, jpeg
from support import eventually
from support.pictures import BLUE, GREEN, GREY, RED, striped

from PIL import Image  # isort: skip

COLOURS = (RED, GREEN, BLUE, GREY)
CAMERAS = [f"camera-{number}" for number in range(50)]


class Fifty(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        node = announcing()
        cls.addClassCleanup(node.stop)
        cls.node = node.start()
        cls.pictures = {name: jpeg(striped(COLOURS[number % 4], number)) for number, name in enumerate(CAMERAS)}
        cls.results = {name: node.cameras.show(name, picture) for name, picture in cls.pictures.items()}
        eventually("all pictures are told", lambda: len(kept(node.broker, "glanced/+/state/image")) == len(CAMERAS))
        cls.home = Home(node)
        cls.addClassCleanup(cls.home.stop)
        cls.home.start(node.broker)
        everything = cls.home.devices_announced()
        cls.box = everything[BOX]
        cls.cameras = {name: everything[name] for name in CAMERAS}

    def test_each_is_announced_once_and_belongs_to_the_node(self) -> None:
        everything = self.home.devices_announced()
        self.assertEqual(set(everything), {*CAMERAS, BOX})
        identifiers = [one for device in everything.values() for one in device.info["identifiers"]]
        self.assertEqual(len(set(identifiers)), len(identifiers))
        parts = [part for device in everything.values() for part in device.components.values()]
        uniques = [(part.platform, part.config["unique_id"]) for part in parts]
        self.assertEqual(len(set(uniques)), len(uniques))
        for device in self.cameras.values():
            self.assertIn(device.info["via_device"], self.box.info["identifiers"])

    def test_topics_that_are_named_carry_something(self) -> None:
        said = kept(self.node.broker, "glanced/#")
        for device in (self.box, *self.cameras.values()):
            for key, part in device.components.items():
                with self.subTest(device.topic, part=key):
                    for one in part.config.get("availability", []):
                        self.assertEqual(said[one["topic"]].decode(), one["payload_available"])
                    for topic in {part.config.get("state_topic"), part.config.get("json_attributes_topic")} - {None}:
                        self.assertTrue(said[topic])
        for name, device in self.cameras.items():
            self.assertEqual(said[device["image"].config["image_topic"]], self.pictures[name])
            self.assertIsInstance(json.loads(said[device["class"].config["json_attributes_topic"]]), dict)

    def test_the_home_shows_what_was_answered(self) -> None:
        for name, device in self.cameras.items():
            with self.subTest(name):
                top3 = self.results[name]["top3"]
                shown = self.home.until(self.home.entity(device["class"]), top3[0]["label"])
                self.assertEqual(shown["score"], top3[0]["score"])
                self.assertEqual([shown["second"], shown["third"]], [one["label"] for one in top3[1:]])
                self.assertEqual([shown["second_score"], shown["third_score"]], [one["score"] for one in top3[1:]])
                self.assertEqual((shown["previous"], shown["changed_at"]), (None, None))
                self.assertEqual((shown["model"], shown["model_version"]), ("tints", "1"))
                self.assertEqual(shown["frame"], self.results[name]["frame"])
                self.home.until(self.home.entity(device["unknown"]), "off")
                image = self.home.entity(device["image"])
                kind, picture = eventually("a picture", lambda: (shown := self.home.picture(image))[1] and shown)
                self.assertEqual(picture, self.pictures[name])
                self.assertEqual(Image.MIME[Image.open(io.BytesIO(picture)).format], kind)
                # It is there for who wants it.
                self.assertIsNone(self.home.state(self.home.entity(device["score"])))
        self.assertEqual(self.home.complaints, [])

    def test_the_home_has_the_cameras_under_their_node(self) -> None:
        for device in (self.box, *self.cameras.values()):
            for part in device.components.values():
                self.home.entity(part)
        above = self.home.device(self.box.info["identifiers"][0])
        self.assertEqual(above.name, BOX)
        below = [device for device in self.home.devices() if device.id != above.id]
        self.assertEqual({device.name for device in below}, set(CAMERAS))
        self.assertEqual({device.via_device_id for device in below}, {above.id})


if __name__ == "__main__":
    unittest.main()
