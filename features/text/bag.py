"""Bag-of-words vectors of texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.arrays import stacked
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.nlp.analysis import Analysis
from features.text.nlp.columns import terms
from features.text.nlp.terms import hashed_vector

_LEAST_DIM = 64


class BagOfWords(TextEncoder):
    """The terms of a text, hashed and signed, weighted by the logarithm of their counts; vectors of length 1.

    Rare terms don't weigh more: document frequencies need a set of texts, and a vector must follow from one. Such
    weights can be fitted on the stored `term_ids` and `term_counts`.

    Args:
        dim: width of the vector, 64 or more.
        max_characters: as in `TextEncoder`.

    Raises:
        ValueError: a parameter is out of its range.
    """

    name = "bag-of-words"
    version = 1

    def __init__(self, *, dim: int = 1024, max_characters: int = MAX_CHARACTERS) -> None:
        super().__init__(max_characters=max_characters)
        if dim < _LEAST_DIM:
            raise ValueError(f"dim is {dim}; expected a width of {_LEAST_DIM} or more, in which terms seldom collide")
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"dim": self._dim}

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, dim], rows of length 1; a text without words is one term."""
        return stacked((hashed_vector(terms(text) or [text.text], self._dim) for text in texts), self._dim)
