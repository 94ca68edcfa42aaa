"""ONNX models: what a file declares, read without loading its weights, and sessions that run it.

The file is a protocol buffer; the numbers of its fields are those of `onnx.proto` (https://onnx.ai/onnx/).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
_DTYPES |= {8: "string", 11: "float64", 16: "bfloat16"}
_VARINT, _64_BITS, _LENGTH, _32_BITS = 0, 1, 2, 5


@dataclass(frozen=True)
class Tensor:
    """A declared input or output: `shape` has a number for a fixed dimension, a name (may be empty) for a free one; it
    is None where the file declares none. `dtype` is NumPy's name, or `string`, or `bfloat16`."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "of any shape" if self.shape is None else f"[{', '.join(str(size or '?') for size in self.shape)}]"
        return f"{self.name} {self.dtype} {shape}"


@dataclass(frozen=True)
class Declared:
    """What a model's file declares; `files` are the file itself and those beside it that hold its larger weights."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    files: tuple[Path, ...]


@cache
def declared(path: Path) -> Declared:
    """Inputs, outputs and files of a model, without loading its weights; read once a process.

    Raises:
        ValueError: the file is no ONNX model, or a file of its weights is missing.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise ValueError(f"{path} is empty; expected an ONNX model")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as whole, memoryview(whole) as data:
            try:
                found = _declared(data)
            except (IndexError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is no ONNX model: {error}") from error
    inputs, outputs, places = found
    if not outputs:
        raise ValueError(f"{path} is no ONNX model: it declares no outputs")
    beside = tuple(path.parent / place for place in sorted(places))
    for each in beside:
        if not each.is_file():
            raise ValueError(f"{path} keeps weights in {each}, which is no file; put it beside the model")
    return Declared(inputs, outputs, (path, *beside))


def _declared(model: memoryview) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], set[str]]:
    """Inputs, outputs, and names of the files beside the model; old files list their weights among the inputs."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    places: set[str] = set()
    for graph in _all(model, 7):
        for number, value in _fields(graph):
            if number == 5:
                weights.add(_text(value, 8))
                entries = [(_text(entry, 1), _text(entry, 2)) for entry in _all(value, 13)]
                places |= {place for key, place in entries if key == "location"}
            elif number in (11, 12):
                (inputs if number == 11 else outputs).append(_tensor(value))
    return tuple(tensor for tensor in inputs if tensor.name not in weights), tuple(outputs), places


def _tensor(value: memoryview) -> Tensor:
    dtype, shape = "no tensor", None
    for kind in _all(value, 2):
        for tensor in _all(kind, 1):
            fields = dict(_fields(tensor))
            dtype = _DTYPES.get(fields.get(1, 0), f"type {fields.get(1)}")
            if 2 in fields:
                shape = tuple(_size(dimension) for dimension in _all(fields[2], 1))
    return Tensor(_text(value, 1), dtype, shape)


def _size(dimension: memoryview) -> int | str:
    fields = dict(_fields(dimension))
    return fields[1] if 1 in fields else bytes(fields.get(2, b"")).decode()


def _text(message: memoryview, number: int) -> str:
    """The last value of a field that is a string, empty where there is none."""
    return "".join(bytes(value).decode() for value in _all(message, number)[-1:])


def _all(message: memoryview, number: int) -> list[memoryview]:
    return [value for each, value in _fields(message) if each == number]


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an int for a varint, else its bytes, which are not copied.

    Raises:
        ValueError: the bytes are no message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind not in (_LENGTH, _64_BITS, _32_BITS):
            raise ValueError(f"a field of the kind {kind}")
        size, at = _varint(message, at) if kind == _LENGTH else ({_64_BITS: 8, _32_BITS: 4}[kind], at)
        if at + size > len(message):
            raise ValueError("the file ends too early")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, seven bits a byte, lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def session(model: str | Path | bytes, *, threads: int) -> "onnxruntime.InferenceSession":
    """A session of a model, by its path or its bytes.

    It runs on the GPU that the process is pinned to, where this onnxruntime can, else on the CPU.

    Args:
        model: path or bytes.
        threads: those of an operator on the CPU; 0 for one a core.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    pinned = os.environ.get("CUDA_VISIBLE_DEVICES", "") not in ("", "-1")
    on_gpu = pinned and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    providers = [*(["CUDAExecutionProvider"] if on_gpu else []), "CPUExecutionProvider"]
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=providers)


def task_threads() -> int:
    """Threads that a network of this process may use: as many as Spark gave its task cores; 0, one a core, elsewhere.

    The variable is TensorFlow's own, so that both engines follow one setting.
    """
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))


@dataclass(frozen=True)
class Network:
    """A session as `features.keras_forward.forward` runs it: arrays in the order of `inputs`, the outputs named.

    Attributes:
        running: the session.
        inputs: the inputs that are given, in the order in which arrays arrive.
        outputs: names of the outputs that are wanted.
        one_by_one: a call takes one row.
        rows: False where such a row comes and leaves without an axis of rows.
    """

    running: "onnxruntime.InferenceSession"
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    one_by_one: bool = False
    rows: bool = True

    def predict_on_batch(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for arrays [n, ...], each [n, ...]."""
        if self.one_by_one and len(arrays[0]) != 1:
            rows = [self.predict_on_batch([each[row : row + 1] for each in arrays]) for row in range(len(arrays[0]))]
            return [np.concatenate(column) for column in zip(*rows, strict=True)]
        given = {
            tensor.name: (each if self.rows else each[0]).astype(tensor.dtype, copy=False)
            for tensor, each in zip(self.inputs, arrays, strict=True)
        }
        outputs = self.running.run(list(self.outputs), given)
        return outputs if self.rows else [each[None] for each in outputs]
