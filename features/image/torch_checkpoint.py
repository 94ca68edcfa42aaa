"""Reading a PyTorch checkpoint of the legacy (pre-zip) format as NumPy arrays, without PyTorch.

The file is five pickles in a row (magic number, protocol version, machine facts, the state dict, the storages' keys)
followed by the raw storages, each an int64 count of elements and then the elements, little-endian. Unpickling can call
any importable function, so the names are allow-listed: a dict, and the three calls that construct a tensor.

Format: `torch.serialization._legacy_save`.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

_DTYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class CheckpointError(ValueError):
    """The file isn't a legacy PyTorch checkpoint, or names something that isn't allowed."""


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        """This tensor as a new array.

        Raises:
            CheckpointError: offset, shape and strides reach outside the storage.
        """
        flat = storages[self.storage.key]
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        negative = any(number < 0 for number in (self.offset, *self.shape, *self.strides))
        if negative or self.offset + reach >= len(flat):
            raise CheckpointError(f"tensor of shape {self.shape} reaches outside its storage of {len(flat)} elements")
        steps = [step * flat.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False).copy()


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_unused: Any) -> _Tensor:
    """Stands for `torch._utils._rebuild_tensor_v2`."""
    if not isinstance(storage, _Storage):
        raise CheckpointError(f"a tensor is made from a storage, not from {type(storage).__name__}")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()},
}


class _Reader(pickle.Unpickler):
    """An unpickler that refuses every name that isn't in `_ALLOWED`."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise CheckpointError(f"checkpoint asks for {module}.{name}, which is not allowed") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, size, view = pid
        if kind != "storage" or view is not None or not isinstance(storage_type, _StorageType):
            raise CheckpointError(f"checkpoint refers to something that is not a whole storage: {kind!r}")
        return _Storage(str(key), storage_type.dtype, int(size))


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dict.

    Returns: its tensors by name, float32 or int64, in the file's axis order (convolutions: O, I, H, W).

    Raises:
        CheckpointError: another format, a name outside the allow-list, or a file that ends too early.
    """
    with path.open("rb") as file:
        try:
            magic, protocol, _machine, state, keys = (_Reader(file).load() for _ in range(5))
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"not a legacy PyTorch checkpoint: {error}") from error
        if (magic, protocol) != (MAGIC, PROTOCOL):
            raise CheckpointError(f"not a legacy PyTorch checkpoint: magic {magic!r}, protocol {protocol!r}")
        tensors = {name: value for name, value in state.items() if isinstance(value, _Tensor)}
        types = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
        storages = {key: _read_storage(file, types[key]) for key in keys}
    return {name: tensor.view(storages) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise CheckpointError(f"checkpoint ends inside a storage of {count} elements")
    return np.frombuffer(data, dtype)
