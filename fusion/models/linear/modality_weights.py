"""Weights of the modalities in an item: F = [phi_text(x) w_text, phi_image(x) w_image, ...].

Every weighting returns factors [n, M] that are 1 on average where nothing is learnt or given, so that a weighted item
starts as large as a concatenated one, and exactly 0 for a modality that the item lacks. Calls take `xp`: NumPy for
inference, `keras.ops` for training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.training.layers import masked_softmax

LOGITS = "weighting/logits"
HIDDEN, HIDDEN_BIAS = "weighting/hidden", "weighting/hidden_bias"
GATE, GATE_BIAS = "weighting/gate", "weighting/gate_bias"


class Weighting(Protocol):
    """A way to compute w."""

    def initial_weights(self, widths: Sequence[int], *, seed: int) -> dict[str, NDArray[np.float32]]:
        """The named weights to be trained, given the columns p_m of each modality."""

    def __call__(self, weights: Mapping[str, Any], content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        """[n, M], the weight of each modality in each item.

        Args:
            weights: holds the names of `initial_weights`.
            content: [n, p_m] a modality, 0 where the item lacks it.
            shown: [n, M], 1 or 0: whether the item has it.
        """


class Even:
    """w_m = 1: plain concatenation."""

    def initial_weights(self, widths: Sequence[int], *, seed: int) -> dict[str, NDArray[np.float32]]:
        return {}

    def __call__(self, weights: Mapping[str, Any], content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        return shown


EVEN = Even()


@dataclass(frozen=True)
class Fixed:
    """w_m as given.

    Attributes:
        factors: one a modality.
    """

    factors: tuple[float, ...]

    def initial_weights(self, widths: Sequence[int], *, seed: int) -> dict[str, NDArray[np.float32]]:
        return {}

    def __call__(self, weights: Mapping[str, Any], content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        return shown * np.array(self.factors, np.float32)


class Learned:
    """w_m = K softmax(a)_m over the K modalities that have a column, with a trained scalar a_m for each."""

    def initial_weights(self, widths: Sequence[int], *, seed: int) -> dict[str, NDArray[np.float32]]:
        return {LOGITS: np.zeros(len(widths), np.float32)}

    def __call__(self, weights: Mapping[str, Any], content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        has_columns = np.array([x.shape[1] > 0 for x in content], np.float32)
        softmax = masked_softmax(weights[LOGITS][None, :], has_columns[None, :], xp=xp)  # [1, M]
        return shown * softmax * has_columns.sum()


@dataclass(frozen=True)
class Gated:
    """w_m = K softmax(G h + c)_m over the K modalities that the item has, h = tanh(H [x; mask] + b): the gate of a
    gated multimodal unit (Arevalo et al. 2017, "Gated Multimodal Units for Information Fusion", section 3.1), with a
    softmax over any number of modalities in place of its sigmoid between two, and the mask beside their features.

    Attributes:
        units: of h.
    """

    units: int

    def initial_weights(self, widths: Sequence[int], *, seed: int) -> dict[str, NDArray[np.float32]]:
        """G and c are 0, so that w is 1 for every modality of every item."""
        inputs, modalities = sum(widths) + len(widths), len(widths)
        hidden = np.random.default_rng(seed).normal(0, 1 / np.sqrt(inputs), (inputs, self.units))
        arrays = {
            HIDDEN: hidden,
            HIDDEN_BIAS: np.zeros(self.units),
            GATE: np.zeros((self.units, modalities)),
            GATE_BIAS: np.zeros(modalities),
        }
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    def __call__(self, weights: Mapping[str, Any], content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        # content that dropout hides for this step must not reach the gates either
        seen = [x * shown[:, place : place + 1] for place, x in enumerate(content)]
        hidden = xp.tanh(xp.matmul(xp.concatenate([*seen, shown], axis=1), weights[HIDDEN]) + weights[HIDDEN_BIAS])
        gates = masked_softmax(xp.matmul(hidden, weights[GATE]) + weights[GATE_BIAS], shown, xp=xp)
        return gates * xp.sum(shown, axis=1, keepdims=True)


def repeat_columns(factors: Any, widths: Sequence[int], *, xp: Any) -> Any:
    """[n, sum of widths]: each of the factors [n, M] as often as its block is wide. One product, so that the factors
    have one gradient (see `fusion.training.trainer.Network.compiled`)."""
    columns = np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=1)  # [M, sum of widths]
    return xp.matmul(factors, columns if xp is np else xp.cast(columns, factors.dtype))
