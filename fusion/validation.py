"""How well vectors rank what users liked next: the figure that stops a training."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.baselines import like_matrix
from fusion.data import History
from fusion.metrics import ndcg
from fusion.rank import top_k

MAX_USERS = 2000
BATCH = 256


class Holdout:
    """Validation likes, and what must not be recommended because it was had in train.

    Attributes:
        users: int64 [V], ascending places in `user_ids`: those with a validation like that is not in train, at most
            `MAX_USERS` of them, drawn by the seed.
    """

    def __init__(self, train: History, valid: History, *, n_items: int, seed: int) -> None:
        every = replace(train, weight=np.ones(len(train), np.float32))
        had, wanted = like_matrix(every, n_items), like_matrix(valid, n_items)
        wanted = (wanted - wanted.multiply(had)).tocsr()
        wanted.eliminate_zeros()
        users = np.nonzero(np.diff(wanted.indptr))[0]
        if len(users) > MAX_USERS:
            users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
        self.users = users
        self._had, self._wanted = had[users], wanted[users]

    def ndcg(self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], *, k: int = 10) -> float:
        """Mean ndcg@k over `users`, given their vectors float32 [V, D] and those of the items float32 [N, D]."""
        (found,) = self.compare(lambda rows: [user_vectors[rows] @ item_vectors.T], k=k)
        return found

    def compare(self, scores: Callable[[slice], Iterable[NDArray[np.float32]]], *, k: int = 10) -> list[float]:
        """Mean ndcg@k over `users` of each of several rivals.

        Args:
            scores: rows of `users` → every rival's scores of them, float32 [B, N] each, always in the same order.
        """
        per_user: list[list[NDArray[np.float64]]] = []
        for start in range(0, len(self.users), BATCH):
            rows = slice(start, start + BATCH)
            relevant = self._wanted[rows].toarray() > 0
            answers = []
            for rival in scores(rows):
                found, _ = top_k(rival, k, exclude=self._had[rows])
                hits = np.take_along_axis(relevant, np.maximum(found, 0), axis=1) & (found >= 0)
                answers.append(ndcg(hits, relevant.sum(axis=1), k=k))
            per_user.append(answers)
        return [float(np.concatenate(values).mean()) for values in zip(*per_user, strict=True)]
