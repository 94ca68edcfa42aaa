"""Scores as probabilities."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


class Sigmoid(NamedTuple):
    """p(score) = 1 / (1 + exp(-(slope · score + intercept))), the probability that a candidate is liked.

    >>> Sigmoid(2.0, -1.0)(np.array([0.5], np.float32)).tolist()
    [0.5]
    """

    slope: float
    intercept: float

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        return expit(self.slope * scores.astype(np.float64) + self.intercept)
