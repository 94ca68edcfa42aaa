"""Texts as the words in them."""

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
    """The terms of a text, hashed and signed, weighted by the logarithm of their counts, of length 1.

    How rare a term is counts for nothing: that is known of a set of texts, not of one. The stored `term_ids` and
    `term_counts` are there to fit such weights on.

    Args:
        dim: width of the vector.
        max_characters: only so much of the beginning of a text is analysed and encoded.
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
        """float32 [n, dim]; a text without words counts as one term."""
        return stacked((hashed_vector(terms(text) or [text.text], self._dim) for text in texts), self._dim)
