"""Vectors of tokens, patches or moments as one vector."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Pooling = Literal["none", "cls", "mean", "max"]
"""`none`: the output is one vector already. `cls`: the first token's. `mean`, `max`: over the tokens that are no
padding."""


def check_pooling(pooling: str, allowed: tuple[str, ...] = get_args(Pooling)) -> None:
    """Raises ValueError where `pooling` is none of those allowed."""
    if pooling not in allowed:
        raise ValueError(f"pooling is {pooling!r}; expected one of {', '.join(allowed)}")


def check_width(dim: int | None) -> None:
    """Raises ValueError where `dim` is given and no width."""
    if dim is not None and (not isinstance(dim, int) or dim < 1):
        raise ValueError(f"dim is {dim!r}; expected the width of the vectors, a whole number from 1")


def pool(states: np.ndarray, pooling: str, filled: np.ndarray) -> np.ndarray:
    """One vector a row.

    Args:
        states: [n, width], or [n, ..., width] with a vector for each token, patch or moment.
        pooling: one of `Pooling`.
        filled: float [n], the share of a row's tokens that are no padding, which is at the end.

    Returns: float32 [n, width].

    Raises:
        ValueError: tokens are to be pooled, and there are none.

    >>> tokens = np.array([[[1.0, 6.0], [3.0, 2.0], [9.0, 9.0]]])
    >>> pool(tokens, "mean", np.array([2 / 3])).tolist(), pool(tokens, "max", np.array([1.0])).tolist()
    ([[2.0, 4.0]], [[9.0, 9.0]])
    """
    states = states.astype(np.float32, copy=False)
    if pooling == "none":
        return states.reshape(len(states), -1)
    if states.ndim < 3:
        raise ValueError(f"the output is [{', '.join(map(str, states.shape))}], without tokens; give pooling: none")
    tokens = states.reshape(len(states), -1, states.shape[-1])
    if pooling == "cls":
        return tokens[:, 0]
    count = np.maximum(np.rint(filled * tokens.shape[1]), 1)[:, None]
    seen = (np.arange(tokens.shape[1]) < count)[..., None]
    if pooling == "max":
        return np.where(seen, tokens, -np.inf).max(axis=1)
    return np.where(seen, tokens, 0).sum(axis=1) / count.astype(np.float32)


@dataclass(frozen=True)
class Pooled:
    """A network whose output is pooled, as `features.keras_forward.forward` runs it: the last array is `filled`.

    Attributes:
        network: what runs, by `predict_on_batch`; its first output is pooled.
        pooling: one of `Pooling`.
        width: the vectors' width.
        name: what an error calls the network.
    """

    network: Any
    pooling: str
    width: int
    name: str

    @property
    def output_shape(self) -> tuple[None, int]:
        return None, self.width

    def predict_on_batch(self, arrays: list[np.ndarray]) -> np.ndarray:
        """float32 [n, width].

        Raises:
            ValueError: the network's vectors have another width.
        """
        *inputs, filled = arrays
        outputs = self.network.predict_on_batch(inputs)
        states = np.asarray(outputs[0] if isinstance(outputs, list | tuple) else outputs)
        vectors = pool(states, self.pooling, filled)
        if vectors.shape[1] != self.width:
            raise ValueError(
                f"{self.name} gives [{', '.join(map(str, states.shape))}], which pooling {self.pooling} makes "
                f"{vectors.shape[1]} wide; expected {self.width} numbers"
            )
        return vectors
