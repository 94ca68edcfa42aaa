"""Baselines by matrix factorisation of the likes, with the package `implicit`, on one thread for identical fits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix, positions


class IALS:
    """Alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008): confidence 1 + alpha for a like.

    The factors of a user are solved from the likes in the history given to `scores`, not from those of the fit.
    """

    def __init__(
        self, *, factors: int = 64, ridge: float = 30.0, alpha: float = 5.0, iterations: int = 15, seed: int = 1
    ) -> None:
        self.factors, self.ridge, self.alpha, self.iterations, self.seed = factors, ridge, alpha, iterations, seed

    def fit(self, history: History, n_items: int, **_: Any) -> "IALS":
        likes = like_matrix(history, n_items)
        self._model, self._n_items = None, n_items
        if not likes.nnz:
            return self
        from implicit.cpu.als import AlternatingLeastSquares

        with _one_thread():
            self._model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.ridge,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            self._model.fit(likes, show_progress=False)
        return self

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], from the users' likes in `history`."""
        if self._model is None or not len(users):
            return np.zeros((len(users), self._n_items), np.float32)
        with _one_thread():
            own = self._model.recalculate_user(np.arange(len(users)), like_matrix(history, self._n_items)[users])
            return np.asarray(own @ self._model.item_factors.T, np.float32)


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

        with _one_thread():
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


@contextmanager
def _one_thread() -> Iterator[None]:
    """BLAS on one thread: sums are then added in one order, and `implicit` warns about more."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
