"""Frames to send: photographs at the size of a camera's, as JPEG, the same bytes with every run.

As `glanced bench` makes them, with Pillow.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

QUALITY = 85
# Standard deviation of the noise that a sensor adds, of 255. A photograph that was enlarged has none of its own left, and
# would be decoded in half the time that a camera's frame of that size takes.
NOISE = 4.0


def photographs(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.jpg"))
    if not found:
        raise SystemExit(f"bench-peers: there is no photograph in {folder}")
    return found


def sized(paths: list[Path], size: tuple[int, int]) -> list[bytes]:
    """All of them at one size, cut to its shape, with noise."""
    noise = np.random.default_rng(20261126)
    return [jpeg(path, size, noise) for path in paths]


def jpeg(path: Path, size: tuple[int, int], noise: np.random.Generator) -> bytes:
    with Image.open(path) as image:
        fitted = ImageOps.fit(image.convert("RGB"), size, Image.Resampling.LANCZOS)
    pixels = np.asarray(fitted, np.float32)
    noisy = pixels + NOISE * noise.standard_normal(pixels.shape, np.float32)
    encoded = io.BytesIO()
    # 4:2:0, as cameras have it.
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return encoded.getvalue()
