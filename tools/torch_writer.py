"""For the tests: writes checkpoints as PyTorch does, zipped and legacy, without PyTorch."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from unittest import mock

import deps  # noqa: F401
import numpy as np


def _global(module: str, name: str, base: type = object) -> type:
    return type(name, (base,), {"__module__": module})


REBUILD = _global("torch._utils", "_rebuild_tensor_v2")
STORAGES = {"float32": _global("torch", "FloatStorage"), "int64": _global("torch", "LongStorage")}


class Storage:
    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key, self.kind, self.length, self.data = key, STORAGES[array.dtype.name], array.size, array.tobytes()


class Tensor:
    """Pickles as a call of `_rebuild_tensor_v2`, like the real one."""

    def __init__(self, storage: Storage, offset: int, size: tuple, stride: tuple) -> None:
        self.arguments = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self) -> tuple:
        return REBUILD, self.arguments


def _table(state: dict[str, np.ndarray]) -> tuple[OrderedDict, list[Storage]]:
    """Each array in a storage of its own, reversed in memory order where it is a matrix, to have strides that count."""
    table: OrderedDict = OrderedDict()
    storages = []
    for index, (name, array) in enumerate(state.items()):
        array = np.asarray(array)
        memory = array.T if array.ndim == 2 else array
        storages.append(Storage(str(index), np.ascontiguousarray(memory)))
        stride = [int(np.prod(memory.shape[axis + 1 :], dtype=int)) for axis in range(memory.ndim)]
        table[name] = Tensor(storages[-1], 0, array.shape, tuple(stride[::-1] if array.ndim == 2 else stride))
    table._metadata = {"": {"version": 1}}  # a state dict's; the reader must not mind
    return table, storages


def dumps(value: object, *, legacy: bool = False) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, item: object) -> tuple | None:
            if not isinstance(item, Storage):
                return None
            return ("storage", item.kind, item.key, "cpu", item.length, *([None] if legacy else []))

    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    utils._rebuild_tensor_v2 = REBUILD
    for kind in STORAGES.values():
        setattr(torch, kind.__name__, kind)
    with mock.patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        file = io.BytesIO()
        Pickler(file, protocol=2).dump(value)
        return file.getvalue()


def write_zip(path: Path, state: dict[str, np.ndarray]) -> Path:
    table, storages = _table(state)
    return write_zip_parts(path, dumps(table), {storage.key: storage.data for storage in storages})


def write_zip_parts(path: Path, pickled: bytes, storages: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path: Path, state: dict[str, np.ndarray]) -> Path:
    table, storages = _table(state)
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    with open(path, "wb") as file:
        for value in head:
            pickle.dump(value, file, protocol=2)
        file.write(dumps(table, legacy=True))
        pickle.dump([storage.key for storage in storages], file, protocol=2)
        for storage in storages:
            file.write(struct.pack("<q", storage.length) + storage.data)
    return path
