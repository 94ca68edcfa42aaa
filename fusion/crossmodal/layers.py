"""Perceptrons as functions of named weights, of which all cross-modal networks are made.

Every function takes `xp`, the module of its array operations: NumPy for prediction and `keras.ops` for training, so
that both run the same code.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, Any]
LIMIT = 8.0
"""Clipping limit of log variances, either way, so that their exponentials neither overflow nor vanish."""


def perceptron(weights: Arrays, name: str, x: Any, *, xp: Any) -> Any:
    """[n, p] → [n, d]: one hidden layer of rectified linear units, or a linear map if the weights have none."""
    if f"{name}/hidden" in weights:
        x = xp.maximum(xp.matmul(x, weights[f"{name}/hidden"]) + weights[f"{name}/hidden_bias"], 0)
    return xp.matmul(x, weights[f"{name}/out"]) + weights[f"{name}/out_bias"]


def initial_perceptron(
    random: np.random.Generator, name: str, *, inputs: int, hidden: int, outputs: int, zero_output: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Weights before training: normal with variance 2 / inputs in a hidden layer (He et al. 2015), 1 / inputs in the
    last.

    Args:
        hidden: units of the hidden layer; 0 for none.
        zero_output: the last layer is 0, and so is the output before training.
    """
    last = hidden or inputs
    out = random.normal(0, np.sqrt(1 / max(1, last)), (last, outputs)) * (not zero_output)
    weights = {f"{name}/out": out, f"{name}/out_bias": np.zeros(outputs)}
    if hidden:
        weights[f"{name}/hidden"] = random.normal(0, np.sqrt(2 / max(1, inputs)), (inputs, hidden))
        weights[f"{name}/hidden_bias"] = np.zeros(hidden)
    return {key: array.astype(np.float32) for key, array in weights.items()}


def gaussian(weights: Arrays, name: str, x: Any, *, xp: Any) -> tuple[Any, Any]:
    """[n, p] → means and log variances [n, d] each, the latter within [-LIMIT, LIMIT]."""
    both = perceptron(weights, name, x, xp=xp)
    half = both.shape[1] // 2
    return both[:, :half], xp.clip(both[:, half:], -LIMIT, LIMIT)
