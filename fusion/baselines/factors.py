"""Baselines by matrix factorisation of the likes, with the package `implicit`, on one thread for identical fits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix
from fusion.data.matrix_factors import item_factors, one_thread, user_factors


class IALS:
    """Alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008): confidence 1 + alpha for a like.

    The factors of a user are solved from the likes in the history given to `scores`, not from those of the fit.
    """

    def __init__(self, *, factors: int = 64, ridge: float = 30.0, alpha: float = 5.0, seed: int = 1) -> None:
        self.factors, self.ridge, self.alpha, self.seed = factors, ridge, alpha, seed

    def fit(self, history: History, n_items: int, **_: Any) -> "IALS":
        likes = like_matrix(history, n_items)
        self._items = item_factors(likes, factors=self.factors, ridge=self.ridge, alpha=self.alpha, seed=self.seed)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], from the users' likes in `history`."""
        if not len(users):
            return np.zeros((0, len(self._items)), np.float32)
        likes = like_matrix(history, len(self._items))[users]
        own = user_factors(self._items, likes, ridge=self.ridge, alpha=self.alpha)
        with one_thread():
            return np.asarray(own @ self._items.T, np.float32)
