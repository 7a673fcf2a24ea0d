"""What every peer does with a frame but for the network: the usual script, with Pillow and NumPy.

No peer has the steps differently, so what tells them apart is their runtime and how frames reach them.
"""

import argparse
import io
import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

# Puts one view into the network and returns its logits.
Infer = Callable[[np.ndarray], np.ndarray]


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("bundle", type=Path, help="the folder of the model")
    parser.add_argument("--workers", type=int, default=1, help="frames at the same time")
    parser.add_argument("--threads", type=int, default=1, help="threads that one frame is computed with")
    parser.add_argument("--draft", action="store_true", help="decode JPEGs at a reduced size")
    return parser


def ready(port: int | str = "") -> None:
    """Tells who started this process that frames may come."""
    print("ready", port, flush=True)


def give_up() -> None:
    """A frame without a result would only stall the measurement: the reason is on stderr, and the process ends."""
    sys.stderr.flush()
    os._exit(1)


class Job:
    def __init__(self, folder: Path, draft: bool) -> None:
        with open(folder / "bundle.toml", "rb") as file:
            bundle = tomllib.load(file)
        self.draft = draft
        self.model = folder / "model.onnx"
        self.temperature = bundle["temperature"]
        self.input, self.output = bundle["input"]["tensor"], bundle["output"]["tensor"]
        self.resize, (self.height, self.width) = bundle["input"]["resize"], bundle["input"]["size"]
        self.mean, self.std = np.float32(bundle["input"]["mean"]), np.float32(bundle["input"]["std"])
        self.interpolation = Image.Resampling[bundle["input"]["interpolation"].upper()]
        with open(folder / "labels.tsv", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines]
        self.labels = {int(row[0]): row for row in rows if row[0].isdecimal()}

    def view(self, jpeg: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(jpeg))
        if self.draft:
            image.draft("RGB", (self.resize, self.resize))
        image = image.convert("RGB")
        scale = self.resize / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], self.interpolation)
        left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
        image = image.crop((left, top, left + self.width, top + self.height))
        pixels = (np.asarray(image, np.float32) - self.mean) / self.std
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])

    def answer(self, camera: str, jpeg: bytes, infer: Infer) -> str:
        logits = infer(self.view(jpeg))
        powers = np.exp((logits - logits.max()) / self.temperature)
        scores = powers / powers.sum()
        top3 = []
        for rank, number in enumerate(scores.argsort()[::-1][:3].tolist(), start=1):
            _, synset, english, chinese = self.labels[number]
            best = {"rank": rank, "class": number, "id": synset, "label": english, "label_zh": chinese}
            top3.append(best | {"score": round(float(scores[number]), 4)})
        return json.dumps({"camera": camera, "top3": top3}, ensure_ascii=False)
