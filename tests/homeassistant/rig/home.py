"""A node that announces itself, a home that hears of it on the same broker, and tests in which neither complains."""

import io
import unittest

from . import announced
from .announced import Component, Device
from .core import Core
from .ear import kept

from support import eventually  # isort: skip
from support.node import Node  # isort: skip
from PIL import Image  # isort: skip

CONFIGS = "homeassistant/device/+/config"
NODE = "box-7"


def announcing(**keys: object) -> Node:
    return Node(**{"homeassistant__discovery": True, "homeassistant__every_s": 1} | keys)


def jpeg(picture: bytes) -> bytes:
    """A picture as cameras send it, which is what Home Assistant expects."""
    made = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(made, "JPEG", quality=95)
    return made.getvalue()


class HomeCase(unittest.TestCase):
    def start(self, node: Node) -> Node:
        self.addCleanup(node.stop)
        return node.start()

    def home(self, node: Node) -> Core:
        core = Core()
        self.addCleanup(core.stop)
        return core.start(node.broker)

    def device(self, core: Core, node: Node, name: str) -> Device:
        """What is announced by a name: that of a camera, or of the node."""
        return eventually(f"{name} is announced", lambda: devices(core, node).get(name))

    def entity(self, core: Core, component: Component) -> str:
        """The id of an entity that was announced, once it is there."""
        unique_id = component.config["unique_id"]
        return eventually(f"{unique_id} is there", lambda: core.entity_id(unique_id))

    def touch(self, core: Core, service: str, entity_id: str) -> None:
        """Home Assistant passes over what is not available without a word."""
        eventually(f"{entity_id} is available", lambda: core.state(entity_id).state != "unavailable")
        core.call(service, entity_id)

    def until(self, core: Core, entity_id: str, wanted: str) -> dict:
        """The attributes of an entity, once its state is this."""

        def there() -> object:
            state = core.state(entity_id)
            return state if state and state.state == wanted else None

        try:
            return dict(eventually("", there).attributes)
        except AssertionError:
            raise AssertionError(f"{entity_id} never was {wanted}, but: {core.state(entity_id)}") from None


def devices(core: Core, node: Node) -> dict[str, Device]:
    """All that is announced, by name; each passes Home Assistant's validators."""
    found = [announced.read(core, topic, payload) for topic, payload in kept(node.broker, CONFIGS).items()]
    named = {device.info["name"]: device for device in found}
    assert len(named) == len(found), f"names are not unique: {[device.info['name'] for device in found]}"
    return named
