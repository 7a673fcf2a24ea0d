"""What is announced comes into the home, comes back, and leaves it."""

import unittest

from rig.ear import Ear, kept
from rig.home import BOX, CONFIGS, Home, HomeCase, announcing, jpeg
from support import eventually
from support.node import Node
from support.pictures import RED, plain

RED_FRAME = jpeg(plain(RED))
SHARED = '[[sources]]\ntopic = "line/+/frame"\ncamera = "{1}"\nshared_group = "glanced"\n'
TWO_MODELS = (
    '[[sources]]\ntopic = "cameras/+/frame"\ncamera = "{1}"\n'
    '[[sources]]\ntopic = "line/+/frame"\ncamera = "{1}"\nmodel = "tints-nhwc"\n'
)


class ComingAndGoing(HomeCase):
    def shown(self, node: Node, home: Home) -> str:
        """The entity of what the camera `gate` shows, once it shows something."""
        node.cameras.show("gate", RED_FRAME)
        entity = home.entity(home.announced("gate")["class"])
        home.until(entity, "red")
        return entity

    def gone(self, home: Home, entity: str) -> None:
        eventually(f"{entity} is gone", lambda: home.state(entity) is None)

    def clear(self, ear: Ear, topics: list[str]) -> None:
        for topic in topics:
            ear.say(topic, "", retain=True)

    def ear(self, node: Node) -> Ear:
        ear = Ear(node.broker)
        self.addCleanup(ear.stop)
        return ear

    def test_a_home_that_starts_is_told_again(self) -> None:
        node = announcing()
        self.addCleanup(node.stop)
        node.start()
        node.cameras.show("gate", RED_FRAME)
        eventually("both are announced", lambda: len(kept(node.broker, *CONFIGS)) == 2)
        ear = self.ear(node)
        # A broker that lost what it kept.
        self.clear(ear, list(kept(node.broker, *CONFIGS)))
        self.assertEqual(kept(node.broker, *CONFIGS), {})
        self.shown(node, self.home(node))

    def test_a_camera_that_shows_nothing_any_more_leaves(self) -> None:
        node = announcing(homeassistant__forget_after_s=3)
        home = self.start(node)
        entity = self.shown(node, home)
        self.gone(home, entity)
        eventually("it is no device any more", lambda: [device.name for device in home.devices()] == [BOX])
        self.assertEqual(self.shown(node, home), entity)

    def test_a_camera_that_someone_deletes_comes_back_with_its_next_frame(self) -> None:
        node = announcing()
        home = self.start(node)
        entity = self.shown(node, home)
        home.remove_device(home.announced("gate").info["identifiers"][0])
        self.gone(home, entity)
        eventually("it is not announced", lambda: len(kept(node.broker, *CONFIGS)) == 1)
        self.assertEqual(self.shown(node, home), entity)

    def test_everything_of_a_node_can_be_taken_back_and_nothing_else_goes(self) -> None:
        node = announcing()
        home = self.start(node)
        entity = self.shown(node, home)
        ear = self.ear(node)
        stranger = {"homeassistant/device/boiler/config": b'{"dev":{"ids":"boiler"},"o":{"name":"other"},"cmps":{}}'}
        for topic, payload in stranger.items():
            ear.say(topic, payload, retain=True)
        node.process.stop()
        # As the README has it, with mosquitto_sub.
        self.clear(ear, list(kept(node.broker, "homeassistant/device/glanced-box-7/#")))
        self.gone(home, entity)
        eventually("no device is left", lambda: not home.devices())
        self.assertEqual(kept(node.broker, "homeassistant/#"), stranger)
        node.cameras.stop()
        node.start()

    def test_without_pictures_there_is_no_image(self) -> None:
        node = announcing()
        home = self.start(node)
        self.shown(node, home)
        image = home.entity(home.announced("gate")["image"])
        node.set("homeassistant__images", False)
        node.restart()
        self.shown(node, home)
        self.gone(home, image)

    def test_a_model_that_is_not_used_any_more_leaves(self) -> None:
        node = Node("tints", "tints-nhwc", toml=TWO_MODELS, homeassistant__discovery=True)
        home = self.start(node)
        updates = eventually("both are announced", lambda: len(both := home.announced(BOX).of("update")) == 2 and both)
        entities = {update.config["title"]: home.entity(update) for update in updates}
        self.assertEqual(set(entities), {"tints", "tints-nhwc"})
        for title, entity in entities.items():
            self.assertEqual(home.until(entity, "off")["title"], title)
        # The first of them goes.
        node.set("model__name", "tints-nhwc").write("glanced.toml", "")
        node.restart()
        self.gone(home, entities["tints"])
        self.assertEqual(home.until(entities["tints-nhwc"], "off")["title"], "tints-nhwc")

    def test_cameras_that_nodes_share_are_nobodys_alone(self) -> None:
        node = Node(toml=SHARED, homeassistant__discovery=True)
        home = self.start(node)
        node.cameras.show("gate", RED_FRAME, topic="line")
        gate = home.announced("gate")
        self.assertNotIn("via_device", gate.info)
        entity = home.entity(gate["class"])
        home.until(entity, "red")
        connected = home.entity(home.announced(BOX)["connected"])
        self.assertEqual(node.process.stop(), 0)
        home.until(connected, "off")
        home.until(entity, "red")
        node.cameras.stop()
        node.start()


if __name__ == "__main__":
    unittest.main()
