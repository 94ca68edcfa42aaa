"""How well vectors rank what users liked next: the figure that stops a training."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix
from fusion.evaluation.metrics import ndcg
from fusion.ranking.top_k import top_k

MAX_USERS = 2000
BATCH = 256


class Holdout:
    """Validation likes, and what must not be recommended: what was had in train, and what is no candidate.

    Args:
        candidates: bool [N], the items that may be ranked; None for all. Likes of others ask nothing.

    Attributes:
        users: int64 [V], ascending places in `user_ids`: those with a validation like that is not in train, at most
            `MAX_USERS` of them, drawn by the seed.
    """

    def __init__(
        self,
        train: History,
        valid: History,
        *,
        n_items: int,
        candidates: NDArray[np.bool_] | None = None,
        seed: int,
    ) -> None:
        self.candidates = np.ones(n_items, np.bool_) if candidates is None else candidates
        every = replace(train, weight=np.ones(len(train), np.float32))
        had, wanted = like_matrix(every, n_items), like_matrix(valid, n_items)
        wanted = (wanted - wanted.multiply(had)).multiply(self.candidates[None, :].astype(np.float32)).tocsr()
        wanted.eliminate_zeros()
        users = np.nonzero(np.diff(wanted.indptr))[0]
        if len(users) > MAX_USERS:
            users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
        self.users = users
        self._had, self._wanted = had[users], wanted[users]

    def batches(self, size: int = BATCH) -> Iterator["Held"]:
        """The users, `size` at a time."""
        for start in range(0, len(self.users), size):
            rows = slice(start, start + size)
            yield Held(rows, self.candidates, self._had[rows], self._wanted[rows])

    def ndcg(self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], *, k: int = 10) -> float:
        """Mean ndcg@k over `users`, given their vectors float32 [V, D] and those of the items float32 [N, D]."""
        per_user = [held.ndcg(user_vectors[held.rows] @ item_vectors.T, k=k) for held in self.batches()]
        return float(np.concatenate(per_user).mean())


@dataclass(frozen=True)
class Held:
    """Some of a holdout's users.

    Attributes:
        rows: their places in `Holdout.users`.
        candidates: bool [N], the items that may be ranked.
        had: CSR [B, N], an entry for what must not be recommended though it is a candidate.
        wanted: CSR [B, N], an entry for what they liked next.
    """

    rows: slice
    candidates: NDArray[np.bool_]
    had: sp.csr_matrix
    wanted: sp.csr_matrix

    def ranked(self) -> NDArray[np.bool_]:
        """bool [B, N]: the items that may be ranked for each user."""
        return (self.had.toarray() == 0) & self.candidates

    def ndcg(self, scores: NDArray[np.float32], *, k: int = 10) -> NDArray[np.float64]:
        """float64 [B]: ndcg@k of rankings by `scores` float32 [B, N]."""
        found, _ = top_k(scores, k, exclude=~self.ranked())
        relevant = self.wanted.toarray() > 0
        hits = np.take_along_axis(relevant, np.maximum(found, 0), axis=1) & (found >= 0)
        return ndcg(hits, relevant.sum(axis=1), k=k)
