"""What is announced to Home Assistant, checked with its own validators, in the order in which its discovery uses them."""

import importlib
import json
from dataclasses import dataclass
from typing import Any

from .core import Core

import probatio  # isort: skip
from homeassistant.components.mqtt import discovery, schemas  # isort: skip

# Mosquitto's own limit is far higher, but payloads must also fit brokers and bridges on small devices.
MOST_BYTES = 4096


class Wrong(AssertionError):
    """Home Assistant would not take it, or not as it was meant."""


@dataclass
class Component:
    """As Home Assistant sets it up: abbreviations spelt out, shared options added, defaults filled in."""

    platform: str
    config: dict[str, Any]


@dataclass
class Device:
    topic: str
    info: dict[str, Any]
    components: dict[str, Component]

    def of(self, platform: str) -> list[Component]:
        return [component for component in self.components.values() if component.platform == platform]

    def __getitem__(self, key: str) -> Component:
        if key not in self.components:
            raise Wrong(f"{self.topic} has no {key}, only {sorted(self.components)}")
        return self.components[key]


def read(core: Core, topic: str, payload: bytes) -> Device:
    """The device that a retained message announces. Templates are checked with what a running core gives them."""
    return core.do(_read, topic, payload)


def _read(topic: str, payload: bytes) -> Device:
    prefix, _, rest = topic.partition("/")
    if prefix != "homeassistant" or not discovery.TOPIC_MATCHER.fullmatch(rest):
        raise Wrong(f"no topic for discovery: {topic}")
    if len(payload) >= MOST_BYTES:
        raise Wrong(f"{topic}: {len(payload)} bytes")
    said = json.loads(payload)
    discovery._replace_all_abbreviations(said)
    device = validated(f"{topic}: the device", said, schemas.DEVICE_DISCOVERY_SCHEMA)
    validated(f"{topic}: the components", device, schemas.validate_device_discovery_components)
    # One that has nothing but its platform is to be removed.
    present = [key for key, config in device["components"].items() if len(config) > 1]
    return Device(topic, device["device"], {key: component(topic, key, device) for key in present})


def component(topic: str, key: str, device: dict[str, Any]) -> Component:
    config = dict(device["components"][key])
    platform = config.pop("platform")
    schema = importlib.import_module(f"homeassistant.components.mqtt.{platform}").DISCOVERY_SCHEMA
    # It leaves out what it does not know without a word: a slip in the name of a key would go unseen.
    if unknown := config.keys() - known(schema):
        raise Wrong(f"{topic}: {key} has keys that a {platform} does not know: {sorted(unknown)}")
    discovery._merge_common_device_options(config, device)
    config |= {"device": device["device"], "origin": device["origin"]}
    return Component(platform, validated(f"{topic}: {key}", config, schema))


def validated(what: str, value: Any, schema: Any) -> Any:
    try:
        return schema(value)
    except probatio.Invalid as error:
        raise Wrong(f"{what}: {error}") from error


def known(schema: Any) -> set[str]:
    """The keys of a schema, or of the one that a chain of validators has."""
    if isinstance(schema, probatio.All):
        return set().union(*(known(part) for part in schema.validators))
    return {str(key) for key in schema.schema} if isinstance(schema, probatio.Schema) else set()
