"""Layers that several models share."""

from typing import Any

import keras
from keras import ops

NOISE = 0.01


@keras.saving.register_keras_serializable("nightweave")
class HideBlocks(keras.layers.Layer):
    """Hides blocks of random items in training, so that the others learn to score alone (Volkovs et al. 2017,
    DropoutNet). What is shown keeps its size, unlike in `keras.layers.Dropout`.

    Args:
        rates: share of the items of which each block is hidden, drawn for each block separately.
    """

    def __init__(self, rates: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rates = list(rates)
        self.random = keras.random.SeedGenerator()

    def call(self, shown: Any, training: bool = False) -> Any:
        """[n, blocks]: 1 where a block is shown, else 0.

        Args:
            shown: [n, blocks], 1 where the item has the block.
        """
        shown = ops.cast(shown, self.compute_dtype)
        if not training:
            return shown
        kept = keras.random.uniform(ops.shape(shown), seed=self.random) >= ops.array(self.rates)
        return shown * ops.cast(kept, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rates": self.rates}


@keras.saving.register_keras_serializable("nightweave")
class SequenceReader(keras.layers.Layer):
    """A gated recurrent unit over the steps of a sound or a film, and a linear map of its state after the last step.

    The map is near 0 before training. A sequence's state follows from the steps up to its last one alone, whatever the
    padding after it holds.

    Args:
        units: of the recurrent unit.
        width: d, of the result.
    """

    def __init__(self, units: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.width = units, width
        self.recurrent = keras.layers.GRU(units, return_sequences=True, dtype=self.dtype_policy)
        last_layer = keras.initializers.RandomNormal(stddev=NOISE / units**0.5)
        self.out = keras.layers.Dense(width, use_bias=False, kernel_initializer=last_layer, dtype=self.dtype_policy)

    def call(self, steps: Any, last: Any) -> Any:
        """[n, d]

        Args:
            steps: [n, T, w].
            last: [n, T], 1 at the last step of the sequence; all 0 for an item without one, whose result is 0.
        """
        states = self.recurrent(steps)
        return self.out(ops.einsum("nt,ntu->nu", ops.cast(last, states.dtype), states))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "width": self.width}


def masked_softmax(logits: Any, mask: Any) -> Any:
    """Softmax over the entries of the last axis whose mask is 1; exactly 0 for the others, also where all are masked.

    Args:
        logits, mask: of shapes that broadcast.
    """
    shown = ops.where(mask > 0, logits, ops.cast(-1e9, logits.dtype))
    exponentials = ops.exp(shown - ops.stop_gradient(ops.max(shown, axis=-1, keepdims=True))) * mask
    return exponentials / ops.maximum(ops.sum(exponentials, axis=-1, keepdims=True), ops.cast(1e-30, logits.dtype))
