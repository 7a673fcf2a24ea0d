"""Pictures whose class is known to the `tints` bundle, as PNG, and photographs."""

import struct
import zlib
from collections.abc import Callable

from . import ROOT

RED, GREEN, BLUE, GREY, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 255, 0)
# What `scene` must be redder by for `tints` to be of two minds: as red as grey.
DOUBTFUL = 53

Colour = tuple[int, int, int]


def png(pixel: Callable[[int, int], Colour], width: int = 64, height: int = 48) -> bytes:
    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain(colour: Colour) -> bytes:
    """One colour all over."""
    return png(lambda x, y: colour)


def scene(number: int, redder: int = 0) -> bytes:
    """A scene in light and dark, another for each number, grey, or redder than that by so many steps."""

    def pixel(x: int, y: int) -> Colour:
        grey = 60 + _noise(number, x, y, 25)
        return (grey + redder, grey, grey)

    return png(pixel)


def striped(colour: Colour, number: int) -> bytes:
    """Patches in shades of a colour, others for each number: no two are alike, and all are of that colour."""

    def pixel(x: int, y: int) -> Colour:
        shade = 150 + _noise(number, x, y, 26)
        return tuple(channel * shade // 255 for channel in colour)

    return png(pixel)


def _noise(number: int, x: int, y: int, shift: int) -> int:
    patch = ((number * 64 + y // 6 * 8 + x // 8) * 0x9E3779B1 & 0xFFFFFFFF) ^ 0x5BD1E995
    return (patch * 0x85EBCA6B & 0xFFFFFFFF) >> shift


def photograph(name: str) -> bytes:
    """One of examples/frames."""
    return (ROOT / "examples/frames" / name).read_bytes()
