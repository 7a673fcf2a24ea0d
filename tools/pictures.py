"""Photographs for the tools: as a bundle's [input] wants them, and in folders that say what they show."""

from pathlib import Path

import deps  # noqa: F401
import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}


def view(path: Path, spec: dict) -> np.ndarray:
    """The centre view of a photograph as the bundle's [input] wants it."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    filter = getattr(Image.Resampling, spec["interpolation"].upper())
    height, width = spec["size"]
    if spec["crop"] == "squash":
        image = image.resize((width, height), filter)
    else:
        scale = spec["resize"] / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], filter)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    pixels = (np.asarray(image, np.float32) - np.float32(spec["mean"])) / np.float32(spec["std"])
    return pixels[None] if spec["layout"] == "nhwc" else pixels.transpose(2, 0, 1)[None]


def labelled(folder: Path, labels: Path) -> list[tuple[Path, int]]:
    """The pictures below a folder for each class, which bears its synset or a name of it, with the classes' numbers."""
    classes, found = read_names(labels), []
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = sorted(path for path in below.rglob("*") if path.suffix.lower() in SUFFIXES)
        if files and fold(below.name) not in classes:
            raise ValueError(f"{below}: the model has no class of that name")
        found += [(path, classes[fold(below.name)]) for path in files]
    if not found:
        raise ValueError(f"{folder}: no pictures in it: there must be a folder for each class, named after it")
    return found


def read_names(labels: Path) -> dict[str, int]:
    """The class that each name means, as for `glanced eval`: an English name, else a synset, else a Chinese name."""
    with open(labels, encoding="utf-8") as file:
        next(file)
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    names: dict[str, int] = {}
    for column in (2, 1, 3):
        for row in rows:
            if len(row) > column and row[column]:
                names.setdefault(fold(row[column]), int(row[0]))
    return names


def fold(name: str) -> str:
    return "".join(char for char in name.lower() if char not in " -_")
