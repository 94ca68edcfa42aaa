"""Validation likes in the form that a fit needs: the ndcg of a model's vectors, by which a training stops."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, Split
from fusion.evaluation.protocol import Judgements, ndcg_at_k

MAX_USERS = 2000
BATCH = 256


class Holdout:
    """Validation likes as relevance judgements (`fusion.evaluation.protocol.Judgements`) of at most `MAX_USERS` users.

    Args:
        train: the training history of the users.
        valid: later events of the same users.
        candidates: bool [N], the items that may be ranked; None for all. Likes of other items are ignored.
        seed: draws the users where there are more than `MAX_USERS`.

    Attributes:
        valid: as given.
        users: int64 [V], ascending positions in `user_ids`: those with a validation like that is not in train.
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
        judgements = Judgements.between(train, valid, n_items=n_items, candidates=candidates)
        relevant = judgements.relevant(np.ones(len(judgements.test), np.bool_))
        users = np.flatnonzero(np.diff(relevant.indptr))
        if len(users) > MAX_USERS:
            users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
        self.valid, self.users = valid, users
        self._judgements, self._relevant = judgements, relevant[users]

    @classmethod
    def of(cls, split: Split, n_items: int, *, seed: int) -> "Holdout":
        """The validation likes of a split, for a model fitted on its train."""
        return cls(split.train, split.valid, n_items=n_items, candidates=split.valid_candidates, seed=seed)

    def batches(self, size: int = BATCH) -> Iterator["HoldoutBatch"]:
        """The users, `size` at a time."""
        for start in range(0, len(self.users), size):
            rows = slice(start, start + size)
            yield HoldoutBatch(rows, self._judgements.candidates(self.users[rows]), self._relevant[rows])

    def ndcg(self, user_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32], *, k: int = 10) -> float:
        """Mean ndcg@k over `users`, given their vectors float32 [V, D] and those of the items float32 [N, D]."""
        per_user = [batch.ndcg(user_vectors[batch.rows] @ item_vectors.T, k=k) for batch in self.batches()]
        return float(np.concatenate(per_user).mean())


@dataclass(frozen=True)
class HoldoutBatch:
    """Some of a holdout's users.

    Attributes:
        rows: their positions in `Holdout.users`.
        candidates: bool [B, N], the items that may be ranked for each of them.
        relevant: bool CSR [B, N], what they liked next.
    """

    rows: slice
    candidates: NDArray[np.bool_]
    relevant: sp.csr_matrix

    def ndcg(self, scores: NDArray[np.float32], *, k: int = 10) -> NDArray[np.float64]:
        """float64 [B]: ndcg@k of the rankings by `scores` float32 [B, N]."""
        return ndcg_at_k(scores, self.relevant.toarray(), k=k, candidates=self.candidates)
