"""What the broker keeps, and what is said while one listens."""

import threading

from .core import Core  # noqa: F401: the import puts the packages on the path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage  # isort: skip
from support import PATIENCE  # isort: skip
from support.broker import Mosquitto  # isort: skip

END = "tests/end"


class Ear:
    def __init__(self, broker: Mosquitto, *filters: str) -> None:
        self.kept: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes]] = []
        self._ended = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe([(filter, 0) for filter in (*filters, END)])
        # What is kept comes first, and with QoS 0 nothing overtakes: the end is the end.
        self._client.on_subscribe = lambda client, *_: client.publish(END)
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._ended.wait(PATIENCE), "the broker does not answer"

    def _hear(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == END:
            self._ended.set()
        elif message.retain:
            self.kept[message.topic] = message.payload
        else:
            self.heard.append((message.topic, message.payload))

    def say(self, topic: str, payload: bytes | str, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def kept(broker: Mosquitto, *filters: str) -> dict[str, bytes]:
    """What the broker keeps now, by topic."""
    ear = Ear(broker, *filters)
    ear.stop()
    return ear.kept
