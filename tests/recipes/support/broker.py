"""A real Mosquitto, and a client that keeps what it hears."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from . import PATIENCE, eventually, find, free_port, listens
from .process import Process

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5  # isort: skip: `.` puts it on the path
from paho.mqtt.packettypes import PacketTypes  # isort: skip
from paho.mqtt.properties import Properties  # isort: skip

OPEN = "user root\nallow_anonymous true\nlistener PORT 127.0.0.1\nmax_queued_messages 0\n"


class Mosquitto:
    """With rules of its own, in which PORT stands for a free port; on another one if someone else was quicker."""

    def __init__(self, folder: Path, rules: str = OPEN, port: int | None = None) -> None:
        config = folder / "mosquitto.conf"
        for _ in range(5):
            self.port = port or free_port()
            config.write_text(rules.replace("PORT", str(self.port)) + "log_dest stderr\n")
            self.process = Process([find("mosquitto"), "-c", config])
            eventually("Mosquitto listens, or has ended", lambda: listens(self.port) or self.process.ended())
            if not self.process.ended():
                return
        raise AssertionError(f"Mosquitto does not start:\n{self.process.text()}")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.stop()


class Peer:
    """Subscribes, keeps every message, publishes."""

    def __init__(self, port: int, *filters: str, prepare: Callable[[Client], object] = lambda _: None) -> None:
        self.heard: list[MQTTMessage] = []
        self._subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.on_connect = lambda client, *_: filters and client.subscribe([(name, 1) for name in filters])
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.heard.append(message)
        prepare(self.client)
        self.client.connect("localhost", port)
        self.client.loop_start()
        if filters:
            assert self._subscribed.wait(PATIENCE), "the broker does not answer"
        else:
            eventually("the broker answers", self.client.is_connected)

    def publish(self, topic: str, payload: bytes | str | dict, qos: int = 0, answers: str = "", **more: object) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if answers:
            properties.ResponseTopic = answers
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        self.client.publish(topic, payload, qos, properties=properties, **more).wait_for_publish(PATIENCE)

    def on(self, topic: str) -> list[MQTTMessage]:
        """What was heard on a topic so far, without what the broker had kept."""
        return [message for message in list(self.heard) if message.topic == topic and not message.retain]

    def wait(self, topic: str, number: int = 1) -> list[dict]:
        """At least so many messages, as JSON."""
        eventually(f"{number} on {topic}", lambda: len(self.on(topic)) >= number)
        return [json.loads(message.payload) for message in self.on(topic)]

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
