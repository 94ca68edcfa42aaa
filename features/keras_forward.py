"""Running a network over many rows so that a row's result doesn't depend on the other rows of its batch, and on which
engine."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import keras

    from features.onnx_session import Network

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
"""Keras' dtype policies; the mixed ones are for GPUs."""

Engine = Literal["auto", "onnxruntime", "keras"]
"""What computes a network. `auto` is Keras in half precision and where the process sees a GPU, else ONNX Runtime.

The vectors of both agree but for rounding (cosine .9999 or more), so the engine is no part of a fingerprint."""


def check_options(*, batch: int, precision: str, engine: str = "auto") -> None:
    """Checks the options that every encoder with a network has.

    Raises:
        ValueError: `batch` isn't a whole number from 1, `precision` isn't one of `Precision`, `engine` none of
            `Engine`, or ONNX Runtime is to compute in half precision.
    """
    if not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch is {batch!r}; expected a number of rows, 1 or more")
    if precision not in get_args(Precision):
        raise ValueError(f"precision is {precision!r}; expected one of {', '.join(get_args(Precision))}")
    if engine not in get_args(Engine):
        raise ValueError(f"engine is {engine!r}; expected one of {', '.join(get_args(Engine))}")
    if engine == "onnxruntime" and precision != "float32":
        raise ValueError(f"engine is 'onnxruntime' with precision {precision!r}; expected float32, or engine 'keras'")


def runs_on_onnxruntime(engine: str, precision: str) -> bool:
    """Whether ONNX Runtime computes the network in this process, see `Engine`."""
    return engine == "onnxruntime" or (engine == "auto" and precision == "float32" and not _sees_gpu())


def _sees_gpu() -> bool:
    """Whether there is an NVIDIA GPU that isn't hidden from this process; TensorFlow, which knows, takes seconds."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def precision_parameter(precision: str) -> dict[str, str]:
    """The precision as part of an encoder's parameters: empty for float32, so that its fingerprint is the plain one."""
    return {} if precision == "float32" else {"precision": precision}


def forward(network: "keras.Model | Network", inputs: Sequence[np.ndarray], *, batch: int) -> list[np.ndarray]:
    """The network's outputs for `inputs`.

    Every call of the network has exactly `batch` rows, the last one padded with zeros: one shape means one trace and
    one choice of kernels. Under ONNX Runtime a row then has the same bits at any place in any batch. Under Keras it has
    on most processors; on some, TensorFlow's last bits follow a row's place.

    Args:
        network: a model with one or more outputs.
        inputs: one array [n, ...] for each of its inputs; n may be 0.
        batch: rows a call.

    Returns: one float32 array [n, ...] for each output.
    """
    count = len(inputs[0])
    parts: list[list[np.ndarray]] = []
    for start in range(0, max(count, 1), batch):
        outputs: Any = network.predict_on_batch([_padded(rows[start : start + batch], batch) for rows in inputs])
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        parts.append([np.asarray(out, np.float32)[: count - start] for out in outputs])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _padded(rows: np.ndarray, batch: int) -> np.ndarray:
    """`rows` [n, ...], n up to `batch`, followed by rows of zeros: [batch, ...]."""
    if len(rows) == batch:
        return rows
    return np.concatenate([rows, np.zeros((batch - len(rows), *rows.shape[1:]), rows.dtype)])
