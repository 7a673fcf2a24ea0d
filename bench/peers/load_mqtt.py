"""Frames over MQTT, and their results: one thread, which sends and receives."""

import json
import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from load import LOST, ON_THE_WAY, Counter, Rate
from paho.mqtt.client import MQTT_ERR_SUCCESS, CallbackAPIVersion, Client, MQTTMessage
from processes import PATIENCE, Failure

# At a fixed rate, cameras take turns: so many that none has a second frame while its first may still wait.
CAMERAS = 64


class MqttLoad:
    def __init__(self, port: int) -> None:
        self._online = False
        self._subscribed = False
        self._heard: Callable[[str, bytes], None] = lambda camera, answer: None
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_socket_open = lambda _client, _data, opened: opened.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_connect = lambda client, *_: client.subscribe([("glanced/+/top3", 0), ("glanced/nodes/+/status", 0)])
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        self._client.on_message = self._message
        # Nothing is to be heard while a peer without a broker is measured.
        self._client.connect("127.0.0.1", port, keepalive=0)
        self._until(lambda: self._subscribed, PATIENCE, "the broker does not answer")

    def close(self) -> None:
        self._client.disconnect()

    def online(self, check: Callable[[], None]) -> None:
        """Waits until a daemon that was just started says that it is online; `check` fails if it has ended."""
        self._online = False
        self._until(lambda: check() or self._online, PATIENCE, "the daemon is not online")

    def ask(self, jpeg: bytes) -> dict:
        answers: list[bytes] = []
        with self._hearing(lambda camera, answer: camera == "one" and answers.append(answer)):
            self._send("one", jpeg)
            self._until(lambda: answers, LOST, "a frame gave no result")
        return json.loads(answers[0])

    def closed(self, frames: list[bytes], seconds: float, cpu_seconds: Callable[[], float]) -> Rate:
        counter = Counter(seconds, cpu_seconds, time.monotonic())
        waiting = {f"load-{number}" for number in range(ON_THE_WAY)}
        sent, last = 0, time.monotonic()

        def send(camera: str) -> None:
            nonlocal sent
            self._send(camera, frames[sent % len(frames)])
            sent += 1

        def heard(camera: str, _answer: bytes) -> None:
            nonlocal last
            if camera not in waiting:
                return
            last = time.monotonic()
            counter.result(last)
            if counter.rate:
                waiting.remove(camera)
            else:
                send(camera)

        with self._hearing(heard):
            for camera in list(waiting):
                send(camera)
            while waiting:
                self._turn(0.1)
                if time.monotonic() - last > LOST:
                    raise Failure("a frame gave no result")
        return counter.rate

    def open(self, frames: list[bytes], fps: float, seconds: float) -> list[float]:
        due: dict[str, float] = {}
        latencies: list[float] = []

        def heard(camera: str, _answer: bytes) -> None:
            if camera in due:
                latencies.append((time.monotonic() - due.pop(camera)) * 1e3)

        start, number, total = time.monotonic(), 0, max(1, round(fps * seconds))
        with self._hearing(heard):
            while number < total or due:
                now = time.monotonic()
                if number < total and now >= (planned := start + number / fps):
                    camera = f"load-{number % CAMERAS}"
                    if camera in due:
                        latencies.append(math.inf)
                    due[camera] = planned
                    self._send(camera, frames[number % len(frames)])
                    number += 1
                elif number < total:
                    self._turn(min(0.1, start + number / fps - now))
                elif now - start > seconds + LOST:
                    break
                else:
                    self._turn(0.1)
        return latencies + [math.inf] * len(due)

    def _message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.retain:  # of an earlier run
            return
        level = message.topic.split("/")
        if level[1] == "nodes":
            self._online = message.payload == b"online"
        else:
            self._heard(level[1], message.payload)

    @contextmanager
    def _hearing(self, heard: Callable[[str, bytes], object]) -> Iterator[None]:
        before, self._heard = self._heard, heard
        try:
            yield
        finally:
            self._heard = before

    def _send(self, camera: str, jpeg: bytes) -> None:
        self._client.publish(f"cameras/{camera}/frame", jpeg)

    def _turn(self, seconds: float) -> None:
        if self._client.loop(seconds) != MQTT_ERR_SUCCESS:
            raise Failure("the connection to the broker was lost")

    def _until(self, done: Callable[[], object], seconds: float, otherwise: str) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise Failure(otherwise)
            self._turn(0.1)
