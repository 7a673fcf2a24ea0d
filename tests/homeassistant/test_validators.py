"""The validators tell right from wrong: without that, nothing they let through would mean anything."""

import copy
import json
import unittest
from typing import Any

from rig.announced import MOST_BYTES, Wrong, read
from rig.core import Core

TOPIC = "homeassistant/device/box-7_gate/config"
RIGHT = {
    "dev": {"ids": "box-7_gate", "name": "gate", "via_device": "box-7"},
    "o": {"name": "glanced", "sw": "1"},
    "avty": [{"t": "glanced/nodes/box-7/status"}],
    "cmps": {
        "label": {
            "p": "sensor",
            "uniq_id": "box-7_gate_label",
            "stat_t": "glanced/gate/state",
            "val_tpl": "{{ value_json.label }}",
        },
        "image": {"p": "image", "uniq_id": "box-7_gate_image", "img_t": "glanced/gate/image"},
        "retrain": {"p": "button", "uniq_id": "box-7_gate_retrain", "cmd_t": "glanced/nodes/box-7/retrain"},
    },
}


def changed(path: str, value: Any) -> bytes:
    """RIGHT, with something else in one place; None takes it out."""
    payload = copy.deepcopy(RIGHT)
    *way, last = path.split("/")
    place = payload
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(payload).encode()


class Validators(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.core = Core().start()
        cls.addClassCleanup(cls.core.stop)

    def test_what_is_right_passes_and_is_spelt_out(self) -> None:
        device = read(self.core, TOPIC, json.dumps(RIGHT).encode())
        self.assertEqual(device.info["identifiers"], ["box-7_gate"])
        label = device["label"].config
        self.assertEqual(label["state_topic"], "glanced/gate/state")
        # What the device says for all its components, with a default.
        (availability,) = label["availability"]
        self.assertEqual(availability["topic"], "glanced/nodes/box-7/status")
        self.assertEqual(availability["payload_available"], "online")
        with self.assertRaises(Wrong):
            device["update"]

    def test_what_is_wrong_does_not(self) -> None:
        for why, path, value in (
            ("nobody says whose it is", "o", None),
            ("nothing tells it from others", "dev/ids", None),
            ("an unknown key of the device", "dev/nam", "gate"),
            ("an unknown key at the top", "availabilty", []),
            ("no components", "cmps", None),
            ("no platform", "cmps/label/p", None),
            ("an unknown platform", "cmps/label/p", "sensors"),
            ("no unique_id", "cmps/label/uniq_id", None),
            ("no state", "cmps/label/stat_t", None),
            ("a template that is none", "cmps/label/val_tpl", "{{ value_json.label "),
            ("an unknown device class", "cmps/label/dev_cla", "camera"),
            ("a category that no sensor has", "cmps/label/ent_cat", "config"),
            ("a key that a sensor does not have", "cmps/label/img_t", "glanced/gate/image"),
            ("a key that is misspelt", "cmps/label/state_topc", "glanced/gate/state"),
            ("no picture", "cmps/image/img_t", None),
            ("two sources of pictures", "cmps/image/url_t", "glanced/gate/url"),
            ("a command to many topics", "cmps/retrain/cmd_t", "glanced/nodes/+/retrain"),
            ("availability without a topic", "avty", [{"pl_avail": "online"}]),
            ("too large", "dev/mdl", "x" * MOST_BYTES),
        ):
            with self.subTest(why):
                with self.assertRaises(Wrong):
                    read(self.core, TOPIC, changed(path, value))

    def test_topics_are_checked(self) -> None:
        for topic in (
            "homeassistant/device/box 7/config",
            "homeassistant/device/tor-größe/config",
            "homeassistant/device/a/b/c/config",
            "homeassistant/device/config",
            "elsewhere/device/box-7_gate/config",
        ):
            with self.subTest(topic):
                with self.assertRaises(Wrong):
                    read(self.core, topic, json.dumps(RIGHT).encode())


if __name__ == "__main__":
    unittest.main()
