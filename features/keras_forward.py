"""Running a network over many rows so that a row's result doesn't depend on its companions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
"""Keras' dtype policies; the mixed ones are for GPUs."""


def check_options(*, batch: int, precision: str) -> None:
    """Lets pass what a network can be run with.

    Raises:
        ValueError: `batch` is no number of rows, or `precision` no policy.
    """
    if not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch is {batch!r}; expected a number of rows, 1 or more")
    if precision not in get_args(Precision):
        raise ValueError(f"precision is {precision!r}; expected one of {', '.join(get_args(Precision))}")


def told(precision: str) -> dict[str, str]:
    """What an encoder's parameters say of the precision: nothing of the usual one."""
    return {} if precision == "float32" else {"precision": precision}


def forward(network: "keras.Model", inputs: Sequence[np.ndarray], *, batch: int) -> list[np.ndarray]:
    """The network's outputs for `inputs`, arrays that have the rows n in common.

    Every call of the network has exactly `batch` rows, the last one filled up with zeros: one shape means one trace
    and one choice of kernels, hence the same bits for a row wherever it stands.

    Returns: one array [n, ...] an output, float32.
    """
    count = len(inputs[0])
    parts: list[list[np.ndarray]] = []
    for start in range(0, max(count, 1), batch):
        outputs: Any = network.predict_on_batch([_filled(rows[start : start + batch], batch) for rows in inputs])
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        parts.append([np.asarray(out, np.float32)[: count - start] for out in outputs])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _filled(rows: np.ndarray, batch: int) -> np.ndarray:
    """`rows` followed by as many rows of zeros as make it `batch`."""
    if len(rows) == batch:
        return rows
    return np.concatenate([rows, np.zeros((batch - len(rows), *rows.shape[1:]), rows.dtype)])
