"""A home on the same broker as a node that announces itself."""

import io
import unittest

from . import announced
from .announced import Component, Device
from .core import Core
from .ear import kept

from support import eventually  # isort: skip
from support.node import Node  # isort: skip
from PIL import Image  # isort: skip

CONFIGS = ("homeassistant/device/+/config", "homeassistant/device/+/+/config")
BOX = "glanced box-7"


def announcing(**keys: object) -> Node:
    return Node(**{"homeassistant__discovery": True} | keys)


def jpeg(picture: bytes) -> bytes:
    """A picture as cameras send it, which is what Home Assistant expects."""
    made = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(made, "JPEG", quality=95)
    return made.getvalue()


class Home(Core):
    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def devices_announced(self) -> dict[str, Device]:
        """By name. Each passes Home Assistant's validators."""
        found = [announced.read(self, topic, payload) for topic, payload in kept(self._node.broker, *CONFIGS).items()]
        named = {device.info["name"]: device for device in found}
        assert len(named) == len(found), f"names are not unique: {[device.info['name'] for device in found]}"
        return named

    def announced(self, name: str) -> Device:
        """A camera or a node, once it is announced."""
        return eventually(f"{name} is announced", lambda: self.devices_announced().get(name))

    def entity(self, component: Component) -> str:
        """The id of what was announced, once it is there."""
        unique_id = component.config["unique_id"]
        return eventually(f"{unique_id} is there", lambda: self.entity_id(unique_id))

    def until(self, entity_id: str, wanted: str) -> dict:
        """The attributes of an entity, once its state is this."""

        def there() -> object:
            state = self.state(entity_id)
            return state if state and state.state == wanted else None

        try:
            return dict(eventually("", there).attributes)
        except AssertionError:
            raise AssertionError(f"{entity_id} never was {wanted}, but: {self.state(entity_id)}") from None

    def touch(self, service: str, entity_id: str) -> None:
        """Home Assistant passes over what is not available without a word."""
        eventually(f"{entity_id} is available", lambda: self.state(entity_id).state != "unavailable")
        self.call(service, entity_id)


class HomeCase(unittest.TestCase):
    def start(self, node: Node) -> Home:
        """The node, and a home that hears of it."""
        self.addCleanup(node.stop)
        node.start()
        return self.home(node)

    def home(self, node: Node) -> Home:
        home = Home(node)
        self.addCleanup(home.stop)
        home.start(node.broker)
        return home
