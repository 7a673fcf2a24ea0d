"""Fifty cameras, of which Home Assistant hears by itself."""

import io
import json
import unittest

from rig.core import Core
from rig.ear import kept
from rig.home import CONFIGS, NODE, HomeCase, announcing, devices, jpeg
from support.pictures import BLUE, GREEN, GREY, RED, striped

from PIL import Image  # isort: skip

COLOURS = (RED, GREEN, BLUE, GREY)
CAMERAS = [f"camera-{number}" for number in range(50)]


class Fifty(HomeCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.node = announcing()
        cls.addClassCleanup(cls.node.stop)
        cls.node.start()
        cls.pictures = {name: jpeg(striped(COLOURS[number % 4], number)) for number, name in enumerate(CAMERAS)}
        cls.results = {name: cls.node.cameras.show(name, picture) for name, picture in cls.pictures.items()}
        cls.core = Core()
        cls.addClassCleanup(cls.core.stop)
        cls.core.start(cls.node.broker)
        cls.node_device = HomeCase.device(cls(), cls.core, cls.node, f"glanced {NODE}")
        cls.devices = {name: HomeCase.device(cls(), cls.core, cls.node, name) for name in CAMERAS}

    def test_each_is_announced_once_and_belongs_to_the_node(self) -> None:
        everything = devices(self.core, self.node)
        self.assertEqual(set(everything), {*CAMERAS, f"glanced {NODE}"})
        identifiers = [one for device in everything.values() for one in device.info["identifiers"]]
        self.assertEqual(len(set(identifiers)), len(identifiers))
        parts = [part for device in everything.values() for part in device.components.values()]
        uniques = [(part.platform, part.config["unique_id"]) for part in parts]
        self.assertEqual(len(set(uniques)), len(uniques))
        for device in self.devices.values():
            self.assertIn(device.info["via_device"], self.node_device.info["identifiers"])
            self.assertEqual({part.platform for part in device.components.values()}, {"sensor", "binary_sensor", "image"})
        self.assertEqual({part.platform for part in self.node_device.components.values()} & {"button", "update"}, {"button", "update"})

    def test_topics_that_it_names_carry_something(self) -> None:
        said = kept(self.node.broker, "glanced/#")
        for device in (self.node_device, *self.devices.values()):
            for part in device.components.values():
                with self.subTest(device.topic, platform=part.platform):
                    availability = part.config["availability"]
                    self.assertTrue(availability)
                    for one in availability:
                        self.assertEqual(said[one["topic"]].decode(), one["payload_available"])
                    for key in ("state_topic", "json_attributes_topic"):
                        if topic := part.config.get(key):
                            self.assertIsInstance(json.loads(said[topic]), dict)

    def test_pictures_are_those_of_the_frames(self) -> None:
        said = kept(self.node.broker, "glanced/#")
        for name, device in self.devices.items():
            config = device.one("image").config
            self.assertEqual(said[config["image_topic"]], self.pictures[name])

    def test_the_home_shows_what_was_answered(self) -> None:
        for name, device in self.devices.items():
            with self.subTest(name):
                top3 = self.results[name]["top3"]
                sensor = self.entity(self.core, device.one("sensor"))
                attributes = self.until(self.core, sensor, top3[0]["label"])
                self.assertEqual(attributes["score"], top3[0]["score"])
                self.assertEqual([attributes["second"], attributes["third"]], [one["label"] for one in top3[1:]])
                self.assertIsNone(attributes["previous"])
                self.assertEqual(attributes["model_version"], "1")
                self.until(self.core, self.entity(self.core, device.one("binary_sensor")), "off")
                kind, picture = self.core.picture(self.entity(self.core, device.one("image")))
                self.assertEqual(picture, self.pictures[name])
                self.assertEqual(Image.MIME[Image.open(io.BytesIO(picture)).format], kind)
        self.assertEqual(self.core.complaints, [])

    def test_the_home_has_the_cameras_under_their_node(self) -> None:
        for name, device in self.devices.items():
            self.entity(self.core, device.one("sensor"))
        above = self.core.device(self.node_device.info["identifiers"][0])
        self.assertEqual(above.name, f"glanced {NODE}")
        below = [device for device in self.core.devices() if device.id != above.id]
        self.assertEqual({device.name for device in below}, set(CAMERAS))
        self.assertEqual({device.via_device_id for device in below}, {above.id})

    def test_payloads_are_small(self) -> None:
        sizes = {topic: len(payload) for topic, payload in kept(self.node.broker, CONFIGS).items()}
        self.assertLess(max(sizes.values()), 4096, sizes)


if __name__ == "__main__":
    unittest.main()
