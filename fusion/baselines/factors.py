"""Baselines by matrix factorisation of the likes, with the package `implicit`, on one thread for identical fits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix, positions
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


class BPR:
    """Matrix factorisation for Bayesian personalised ranking (Rendle et al. 2009).

    Users are matched by id; one without a like in the fit gets the items' biases alone.
    """

    def __init__(
        self,
        *,
        factors: int = 16,
        learning_rate: float = 0.01,
        ridge: float = 0.003,
        iterations: int = 50,
        seed: int = 1,
    ) -> None:
        self.factors, self.learning_rate, self.ridge = factors, learning_rate, ridge
        self.iterations, self.seed = iterations, seed

    def fit(self, history: History, n_items: int, **_: Any) -> "BPR":
        likes = like_matrix(history, n_items)
        known = np.diff(likes.indptr) > 0
        self._user_ids = history.user_ids[known]
        self._users, self._items = np.zeros((0, 1), np.float32), np.zeros((n_items, 1), np.float32)
        if not likes.nnz:
            return self
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        with one_thread():
            model = BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.ridge,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(likes[known], show_progress=False)
        self._users, self._items = model.user_factors, model.item_factors
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items]; of `history` only the `user_ids` are used."""
        # The last factor of every user is 1, that of an item its bias.
        own = np.zeros((len(users), self._items.shape[1]), np.float32)
        own[:, -1] = 1
        rows = positions(self._user_ids, history.user_ids[users])
        own[rows >= 0] = self._users[rows[rows >= 0]]
        return np.asarray(own @ self._items.T, np.float32)
