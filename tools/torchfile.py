"""Reads the tensors of a PyTorch checkpoint without PyTorch: the zip format, and the legacy one before it.

A checkpoint is a pickle, and a pickle may name any function to be called. Here it may name only what a table of
tensors needs, and what it builds is inert: descriptions of tensors, turned into arrays after the pickle is done.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import deps  # noqa: F401
import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<u1",
}


class TorchFileError(Exception):
    """The file is not a checkpoint that can be read, or not one that is safe to read."""


@dataclass(frozen=True)
class Storage:
    dtype: np.dtype
    key: str
    length: int


@dataclass(frozen=True)
class Tensor:
    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def rebuild_tensor(storage: Storage, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    return Tensor(storage, offset, tuple(size), tuple(stride))


def rebuild_parameter(tensor: Tensor, *_: Any) -> Tensor:
    return tensor


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    **{("torch", name): np.dtype(code) for name, code in DTYPES.items()},
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise TorchFileError(f"refused: the pickle names {module}.{name}, which no tensors need") from None

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _location, length, *view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or (view and view[0] is not None):
            raise TorchFileError(f"unknown kind of storage in the pickle: {pid!r}")
        return Storage(dtype, str(key), int(length))


def read_state(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name."""
    try:
        with open(path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _read_zip(file) if zipped else _read_legacy(file)
    except TorchFileError as error:
        raise TorchFileError(f"{path}: {error}") from None
    except OSError as error:
        raise TorchFileError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can raise almost anything
        raise TorchFileError(f"{path}: not a whole PyTorch checkpoint ({type(error).__name__}: {error})") from error


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise TorchFileError("a zip file, but without exactly one data.pkl in it")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise TorchFileError("big-endian checkpoints are not supported")
        table = Unpickler(io.BytesIO(archive.read(pickles[0]))).load()

        def load(storage: Storage) -> bytes:
            return archive.read(f"{folder}data/{storage.key}")  # zipfile checks its CRC

        return _arrays(table, load)


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    if Unpickler(file).load() != LEGACY_MAGIC:
        raise TorchFileError("not a PyTorch checkpoint")
    if (protocol := Unpickler(file).load()) != LEGACY_PROTOCOL:
        raise TorchFileError(f"legacy protocol {protocol}, expected {LEGACY_PROTOCOL}")
    if not Unpickler(file).load().get("little_endian"):
        raise TorchFileError("big-endian checkpoints are not supported")
    table = Unpickler(file).load()
    # After the pickles: for each key the number of elements (int64), then the elements. How wide an element is,
    # only the tensors say.
    places: dict[str, tuple[int, int]] = {}
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in _tensors(table).values()}
    for key in Unpickler(file).load():
        if key not in dtypes:
            raise TorchFileError(f"storage {key} belongs to no tensor")
        (length,) = struct.unpack("<q", file.read(8))
        places[key] = (file.tell(), length * dtypes[key].itemsize)
        file.seek(places[key][1], io.SEEK_CUR)

    def load(storage: Storage) -> bytes:
        position, size = places[storage.key]
        file.seek(position)
        return file.read(size)

    return _arrays(table, load)


def _tensors(table: Any) -> dict[str, Tensor]:
    if isinstance(table, dict) and isinstance(table.get("state_dict"), dict):
        table = table["state_dict"]
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise TorchFileError("expected a state dict: names and tensors, and nothing else")
    return dict(table)


def _arrays(table: Any, load: Callable[[Storage], bytes]) -> dict[str, np.ndarray]:
    return {name: _array(name, tensor, load(tensor.storage)) for name, tensor in _tensors(table).items()}


def _array(name: str, tensor: Tensor, data: bytes) -> np.ndarray:
    storage = tensor.storage
    if len(data) != storage.length * storage.dtype.itemsize:
        raise TorchFileError(f"tensor {name}: {len(data)} bytes where {storage.length} elements were announced")
    if len(tensor.size) != len(tensor.stride) or min((tensor.offset, *tensor.size, *tensor.stride)) < 0:
        raise TorchFileError(f"tensor {name}: impossible shape")
    # as_strided would read past the end, so that is ruled out first; the element count keeps stride 0 from
    # making terabytes out of four bytes.
    count = int(np.prod(tensor.size, dtype=object))
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.size, tensor.stride, strict=True))
    if count > storage.length or (count and last >= storage.length):
        raise TorchFileError(f"tensor {name}: reaches past the end of its storage")
    flat = np.frombuffer(data, storage.dtype)[tensor.offset :]
    strides = [stride * storage.dtype.itemsize for stride in tensor.stride]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, tensor.size, strides)).reshape(tensor.size)
