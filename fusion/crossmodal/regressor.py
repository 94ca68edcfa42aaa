"""Translation by a small network that predicts the conditional mean."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.conditional import Conditional
from fusion.crossmodal.layers import initial_perceptron, perceptron
from fusion.crossmodal.training import Batch, Weights


class Regressor(Conditional):
    """A network with one hidden layer, trained with the mean squared error.

    Its arguments are those of `Conditional`.
    """

    def _initial_weights(self, random: np.random.Generator, *, inputs: int, outputs: int) -> Weights:
        return initial_perceptron(random, "net", inputs=inputs, hidden=self.hidden, outputs=outputs, zero_output=True)

    def _loss(self, weights: Mapping[str, Any], batch: Batch) -> Any:
        from keras import ops

        return ops.mean((perceptron(weights, "net", batch["given"], xp=ops) - batch["wanted"]) ** 2)

    def _predict(self, weights: Weights, given: NDArray[np.float32]) -> NDArray[np.float32]:
        return perceptron(weights, "net", given, xp=np)
