"""ONNX models: what a file declares, and sessions that run it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    import onnxruntime


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
    """Inputs, outputs and files of a model, without the weights that lie beside it; read once a process.

    Raises:
        ValueError: the file is no ONNX model, or a file of its weights is missing.
        OSError: it cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError as error:
        raise ValueError(f"{path} is no ONNX model: {error}") from error
    if not graph.output:
        raise ValueError(f"{path} is no ONNX model: it declares no outputs")
    places = {entry.value for weight in graph.initializer for entry in weight.external_data if entry.key == "location"}
    beside = tuple(path.parent / place for place in sorted(places))
    for each in beside:
        if not each.is_file():
            raise ValueError(f"{path} keeps weights in {each}, which is no file; put it beside the model")
    weights = {weight.name for weight in graph.initializer}  # old files list them among the inputs
    inputs = tuple(_tensor(value) for value in graph.input if value.name not in weights)
    return Declared(inputs, tuple(_tensor(value) for value in graph.output), (path, *beside))


def _tensor(value: "onnx.ValueInfoProto") -> Tensor:
    from onnx import TensorProto, helper

    if not value.type.HasField("tensor_type"):
        return Tensor(value.name, "no tensor", None)
    kind = value.type.tensor_type
    dtype = "string" if kind.elem_type == TensorProto.STRING else helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    if not kind.HasField("shape"):
        return Tensor(value.name, dtype, None)
    shape = (size.dim_value if size.HasField("dim_value") else size.dim_param for size in kind.shape.dim)
    return Tensor(value.name, dtype, tuple(shape))


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
    # Threads that spin while they wait take the cores from decoders and other tasks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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

    @property
    def output_shape(self) -> tuple[Any, ...]:
        """Shape of the first output."""
        return tuple(self.running.get_outputs()[0].shape)

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
