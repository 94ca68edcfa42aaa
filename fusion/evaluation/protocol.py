"""The evaluation protocol: which users are evaluated, which items may be ranked for them, which are relevant (qrels),
and what a hit is. Figures, early stopping and tuning all use it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, Scorer, Split, like_matrix, pair_codes, seen_matrix
from fusion.evaluation.metrics import ndcg
from fusion.ranking.top_k import top_k

CELLS = 4_000_000
"""Most scores of a model that are held at once."""
PAIRS = 8_000_000
"""Most pairs of a user and a candidate that are pooled."""


@dataclass(frozen=True)
class Judgements:
    """Relevance judgements (qrels) of a split. Users with a test like are evaluated. Candidates are the items that the
    split allows to be ranked, without those that the user liked or saw in train or valid; a test like that is no
    candidate cannot be found, and is left out.

    Attributes:
        likes: CSR float32 [U, N], 1 where the user likes the item in train or valid.
        had: CSR float32 [U, N], an entry for every pair in train or valid.
        ranked: bool [N], the items that may be ranked for anyone.
        test: the test likes that can be found, in the history's order.
    """

    likes: sp.csr_matrix
    had: sp.csr_matrix
    ranked: NDArray[np.bool_]
    test: History

    @classmethod
    def of(cls, split: Split, n_items: int) -> "Judgements":
        """The judgements of a split's test over a catalog of `n_items` items, given train and valid.

        Raises:
            ValueError: the split's candidates have the wrong shape.
        """
        return cls.between(split.known(), split.test, n_items=n_items, candidates=split.test_candidates)

    @classmethod
    def between(
        cls, known: History, later: History, *, n_items: int, candidates: NDArray[np.bool_] | None = None
    ) -> "Judgements":
        """The judgements of later likes, given the known history.

        Args:
            candidates: bool [N], the items that may be ranked for anyone; None for all.

        Raises:
            ValueError: the candidates have the wrong shape.
        """
        ranked = np.ones(n_items, np.bool_) if candidates is None else candidates
        if ranked.shape != (n_items,):
            raise ValueError(f"candidates of shape {ranked.shape}: expected ({n_items},), one for every item")
        test = later.likes()
        new = ~np.isin(pair_codes(test.user, test.item, n_items), pair_codes(known.user, known.item, n_items))
        test = test.where(new & ranked[test.item])
        return cls(like_matrix(known, n_items), seen_matrix(known, n_items), ranked, test)

    @property
    def n_items(self) -> int:
        return len(self.ranked)

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """int64 [N]: how many users like the item in train or valid."""
        return np.bincount(self.likes.indices, minlength=self.n_items)

    @cached_property
    def warm(self) -> NDArray[np.bool_]:
        """bool [U]: the user likes something in train or valid."""
        return np.asarray(np.diff(self.likes.indptr) > 0)

    def relevant(self, rows: NDArray[np.bool_]) -> sp.csr_matrix:
        """Bool CSR [U, N]: the test likes where `rows`, bool [n], is True."""
        return like_matrix(self.test.where(rows), self.n_items).astype(np.bool_)

    def candidates(self, users: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B, N]: the items that may be ranked for each user."""
        return (self.had[users].toarray() == 0) & self.ranked

    def scores(self, name: str, scorer: Scorer, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [B, N]: the scorer's scores.

        Args:
            name: of the model, for the error message.

        Raises:
            ValueError: the scores have another shape.
        """
        scores = np.asarray(scorer(users), np.float32)
        if scores.shape != (len(users), self.n_items):
            raise ValueError(f"scores of {name} have shape {scores.shape}, expected {(len(users), self.n_items)}")
        return scores


def at_ranks(ranking: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    """[B, K]: the value of the item at each rank of a ranking, 0 or False where there is none. Every figure finds its
    hits this way.

    Args:
        ranking: int64 [B, K], items as `fusion.ranking.top_k.top_k` returns them, negative where there is none.
        values: [B, N], such as whether the item is relevant to the user.
    """
    # The -1 of a rank without an item would index the last item; it looks up item 0 and is then masked.
    return np.take_along_axis(values, np.maximum(ranking, 0), axis=1) * (ranking >= 0)


def ndcg_at_k(
    scores: NDArray[np.floating], relevant: NDArray[np.bool_], *, k: int, candidates: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """float64 [B]: ndcg@k of the rankings by `scores`, float [B, N].

    Args:
        relevant: bool [B, N], at least one a row.
        candidates: bool [B, N], the items that may be ranked; None for all.
    """
    ranking, _ = top_k(scores, k, exclude=None if candidates is None else ~candidates)
    return ndcg(at_ranks(ranking, relevant), relevant.sum(axis=1), k=k)


def batches(users: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """The users in batches, such that the rows of a batch, `width` numbers each, hold at most `CELLS` numbers."""
    size = max(1, CELLS // max(1, width))
    for start in range(0, len(users), size):
        yield users[start : start + size]


class Pool:
    """The pairs of an evaluated user and a candidate, all users together, with a model's scores: gathered while users
    are scored. Where there are more than `PAIRS`, they are those of as many users as fit.

    Args:
        seed: shuffles the users.

    Attributes:
        users: int64 [V], those whose pairs are pooled, in the shuffled order.
    """

    def __init__(self, judgements: Judgements, *, seed: int) -> None:
        users = np.random.default_rng(seed).permutation(np.unique(judgements.test.user).astype(np.int64))
        self.users = users[: max(1, PAIRS // max(1, judgements.n_items))]
        self._relevant = judgements.relevant(np.ones(len(judgements.test), np.bool_))
        self._of: dict[int, tuple[NDArray[np.float32], NDArray[np.bool_]]] = {}

    def add(self, users: NDArray[np.int64], scores: NDArray[np.float32], candidates: NDArray[np.bool_]) -> None:
        """Adds the pairs of those users who are in the pool.

        Args:
            users: int64 [B].
            scores: float32 [B, N].
            candidates: bool [B, N].
        """
        for row in np.flatnonzero(np.isin(users, self.users)):
            own, user = candidates[row], int(users[row])
            self._of[user] = scores[row, own], self._relevant[user].toarray()[0, own]

    def pairs(self) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
        """
        Returns:
            float32 [n], scores; bool [n], whether the candidate is relevant; int64 [n], the user's place in `users`.

        Raises:
            KeyError: a user's pairs were not added.
        """
        of = [self._of[user] for user in self.users.tolist()]
        if not of:
            return np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.int64)
        scores, relevant = (np.concatenate(parts) for parts in zip(*of, strict=True))
        return scores, relevant, np.repeat(np.arange(len(of)), [len(own) for own, _ in of])
