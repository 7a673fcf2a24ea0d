"""Frames over HTTP, and their answers: connections that stay open, each with one request at a time."""

import asyncio
import json
import math
import time
from collections.abc import Callable

from load import LOST, ON_THE_WAY, Counter, Rate
from processes import Failure


class Connection:
    def __init__(self, port: int, camera: str) -> None:
        self._port, self._camera = port, camera

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, jpeg: bytes) -> bytes:
        try:
            return await asyncio.wait_for(self._post(jpeg), LOST)
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise Failure(f"a frame gave no answer: {error!r}") from None

    async def _post(self, jpeg: bytes) -> bytes:
        head = f"POST /{self._camera} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
        self._writer.write(f"{head}\r\n\r\n".encode() + jpeg)
        await self._writer.drain()
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        if " 200 " not in f"{status} ":
            raise Failure(f"the service answers {status}")
        fields = {name.lower(): value for name, _, value in (line.partition(":") for line in lines)}
        return await self._reader.readexactly(int(fields["content-length"]))


class HttpLoad:
    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, jpeg: bytes) -> dict:
        async def one() -> bytes:
            async with Connection(self._port, "one") as connection:
                return await connection.post(jpeg)

        return json.loads(asyncio.run(one()))

    def closed(self, frames: list[bytes], seconds: float, cpu_seconds: Callable[[], float]) -> Rate:
        counter = Counter(seconds, cpu_seconds, time.monotonic())
        sent = 0

        async def camera(number: int) -> None:
            nonlocal sent
            async with Connection(self._port, f"load-{number}") as connection:
                while not counter.rate:
                    sent += 1
                    await connection.post(frames[sent % len(frames)])
                    counter.result(time.monotonic())

        self._run(camera)
        return counter.rate

    def open(self, frames: list[bytes], fps: float, seconds: float) -> list[float]:
        """A frame that finds all connections busy waits for one; that time counts."""
        total = max(1, round(fps * seconds))
        latencies: list[float] = []
        numbers = iter(range(total))
        start = time.monotonic()

        async def camera(number: int) -> None:
            async with Connection(self._port, f"load-{number}") as connection:
                # Whoever is free takes the next frame, and waits until it is due.
                for frame in numbers:
                    due = start + frame / fps
                    await asyncio.sleep(due - time.monotonic())
                    await connection.post(frames[frame % len(frames)])
                    latencies.append((time.monotonic() - due) * 1e3)

        self._run(camera)
        return latencies + [math.inf] * (total - len(latencies))

    def _run(self, camera: Callable) -> None:
        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(ON_THE_WAY):
                    group.create_task(camera(number))

        try:
            asyncio.run(all_of_them())
        except* Failure as failures:
            raise failures.exceptions[0] from None
