"""The usual subscriber: paho-mqtt's thread takes frames in, a pool of threads works on them and publishes."""

import traceback
from concurrent.futures import ThreadPoolExecutor

from job import Infer, Job, give_up, ready
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage


def serve(job: Job, infer: Infer, workers: int, port: int) -> None:
    pool = ThreadPoolExecutor(workers)
    client = Client(CallbackAPIVersion.VERSION2)

    def work(camera: str, jpeg: bytes) -> None:
        try:
            # Kept by the broker, as the daemon's results are.
            client.publish(f"glanced/{camera}/top3", job.answer(camera, jpeg, infer), qos=1, retain=True)
        except Exception:
            traceback.print_exc()
            give_up()

    def take(_client: Client, _data: object, message: MQTTMessage) -> None:
        pool.submit(work, message.topic.split("/")[1], message.payload)

    client.on_message = take
    client.on_connect = lambda *_: client.subscribe("cameras/+/frame")
    client.on_subscribe = lambda *_: ready()
    client.connect("127.0.0.1", port)
    client.loop_forever()
