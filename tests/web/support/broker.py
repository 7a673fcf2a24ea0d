"""A real Mosquitto, and a camera that publishes to it."""

import json
import queue
import threading
from pathlib import Path

from . import PATIENCE, eventually, find, free_port, listens
from .process import Process

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage  # isort: skip: `.` puts it on the path


class Mosquitto:
    """Without rules, on a port that was free a moment ago; on another one if someone else was quicker."""

    def __init__(self, folder: Path) -> None:
        config = folder / "mosquitto.conf"
        for _ in range(5):
            self.port = free_port()
            config.write_text(
                f"user root\nallow_anonymous true\nlistener {self.port} 127.0.0.1\nlog_dest stderr\nlog_type all\n"
            )
            self.process = Process([find("mosquitto"), "-c", config])
            eventually("Mosquitto listens, or has ended", lambda: listens(self.port) or self._ended())
            if not self._ended():
                return
        raise AssertionError(f"Mosquitto does not start:\n{self.process.text()}")

    def _ended(self) -> bool:
        return self.process.child.poll() is not None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.stop()


class Cameras:
    """Publishes frames, and hears what the daemon says of them."""

    def __init__(self, broker: Mosquitto) -> None:
        self._results: queue.Queue[dict] = queue.Queue()
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("glanced/+/top3")
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert subscribed.wait(PATIENCE), "the broker does not answer"

    def _hear(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        # What the broker has kept is of an earlier frame.
        if not message.retain:
            self._results.put(json.loads(message.payload))

    def show(self, camera: str, picture: bytes, topic: str = "cameras") -> dict:
        """Publishes a frame, and waits for its result: the next one of this camera, for no one else publishes."""
        self._client.publish(f"{topic}/{camera}/frame", picture).wait_for_publish(PATIENCE)
        while (result := self._results.get(timeout=PATIENCE))["camera"] != camera:
            pass
        return result

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
