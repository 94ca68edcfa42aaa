"""Rank aggregation: the scores of a model's blocks made one, summed, or as points for ranks in each block's ranking."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

SUM, BORDA, RECIPROCAL_RANK, VOTE = "sum", "borda", "reciprocal_rank", "vote"
COMBINATIONS = (SUM, BORDA, RECIPROCAL_RANK, VOTE)

RANK_OFFSET = 60
"""k of reciprocal rank fusion, as in its paper."""
VOTED_ITEMS = 50
"""Number of items, the first of its ranking, that a block votes for."""
ITEMS_AT_ONCE = 32_768
"""Most rows of the item matrix that are held as float64."""

Points = dict[str, NDArray[np.float32]]
"""Block → float32 [B, N], for B users and N items."""


def nonzero_items(items: NDArray[np.float32], blocks: Mapping[str, slice]) -> dict[str, NDArray[np.bool_]]:
    """Block → bool [N]: whether any of the item's columns of that block is not 0."""
    return {name: (items[:, columns] != 0).any(axis=1) for name, columns in blocks.items()}


def points(
    users: NDArray[np.float32],
    items: NDArray[np.float32],
    blocks: Mapping[str, slice],
    *,
    combination: str = SUM,
    weights: Mapping[str, float] | None = None,
    candidates: NDArray[np.bool_] | None = None,
    nonzero: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Points:
    """Block → float32 [B, N]: its points for each item and user; `total` adds them up to the score.

    Args:
        users: float32 [B, D].
        items: float32 [N, D].
        blocks: block → its columns.
        combination: one of `COMBINATIONS`.
        weights: block → its weight; 1 for a block that is left out.
        candidates: bool [B, N], the items that may be ranked for the user; None for all. Ranks are among them, and
            under every combination but `sum` the other items get 0.
        nonzero: the result of `nonzero_items`, where the caller has it already.

    Raises:
        ValueError: there is no such combination.
    """
    if combination != SUM and nonzero is None:
        nonzero = nonzero_items(items, blocks)
    scores = block_scores(users, items, blocks)
    return combined(scores, combination=combination, weights=weights, candidates=candidates, nonzero=nonzero or {})


def combined(
    scores: Points,
    *,
    nonzero: Mapping[str, NDArray[np.bool_]],
    combination: str = SUM,
    weights: Mapping[str, float] | None = None,
    candidates: NDArray[np.bool_] | None = None,
) -> Points:
    """As `points`, given the dot products, block → float32 [B, N].

    Raises:
        ValueError: there is no such combination.
    """
    if combination not in COMBINATIONS:
        raise ValueError(f"combination {combination!r}: expected one of {', '.join(COMBINATIONS)}")
    if combination == SUM:
        return weighted(scores, weights or {})
    allowed = np.True_ if candidates is None else candidates
    ranked = {name: allowed & np.broadcast_to(nonzero[name], score.shape) for name, score in scores.items()}
    return BlockRankings.of(scores, ranked).points(combination, weights or {})


def total(block_points: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32 [...]: the sum over blocks, always in their order, so that equal points have bitwise equal sums.

    Raises:
        ValueError: there is no block.
    """
    if not block_points:
        raise ValueError("points of no block: expected at least one")
    first, *others = block_points.values()
    score = first.copy()
    for values in others:
        score += values
    return score


def block_scores(users: NDArray[np.float32], items: NDArray[np.float32], blocks: Mapping[str, slice]) -> Points:
    """Block → float32 [B, N]: dot products over its columns, computed in float64 and then rounded.

    The last bits of a matrix product depend on which rows are multiplied together. In float64 they are far below the
    precision of float32, so a user's scores do not depend on the other users of the batch.
    """
    scores = {}
    for name, columns in blocks.items():
        own = users[:, columns].astype(np.float64)
        scores[name] = np.zeros((len(users), len(items)), np.float32)
        for start in range(0, len(items) if own.shape[1] else 0, ITEMS_AT_ONCE):
            rows = slice(start, start + ITEMS_AT_ONCE)
            scores[name][:, rows] = own @ items[rows, columns].astype(np.float64).T
    return scores


def descending_ranks(scores: NDArray[np.float32], ranked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 [B, N]: the rank of an item among those of its row that are ranked, 1 for the highest score; ties share
    their mean rank; infinity where the item is not ranked.

    >>> descending_ranks(np.array([[5.0, 2.0, 2.0, 9.0]]), np.array([[True, True, True, False]])).tolist()
    [[1.0, 2.5, 2.5, inf]]
    """
    # Negated scores sort from the best; items that are not ranked come last. Everything up to `ranks` is in that order.
    values = np.where(ranked, -scores.astype(np.float64), np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    rank = np.broadcast_to(np.arange(1.0, values.shape[1] + 1), values.shape)
    # A run of ties starts where the value changes. Its first rank is carried forwards over the run by a running
    # maximum, and its last rank backwards by a running minimum from the right.
    starts = np.ones(values.shape, np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(starts, rank, 0), axis=1)
    ends = np.ones(values.shape, np.bool_)
    ends[:, :-1] = starts[:, 1:]
    last = np.minimum.accumulate(np.where(ends, rank, np.inf)[:, ::-1], axis=1)[:, ::-1]
    # Back to the order of the items.
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    return np.where(ranked, ranks, np.inf)


@dataclass(frozen=True)
class BlockRankings:
    """Each block's ranking of the items for some users.

    Attributes:
        scores: block → float32 [B, N], 0 where the item is not ranked.
        ranks: block → float32 [B, N], as `descending_ranks` returns them.
    """

    scores: Points
    ranks: Points

    @classmethod
    def of(cls, scores: Mapping[str, NDArray[np.float32]], ranked: Mapping[str, NDArray[np.bool_]]) -> "BlockRankings":
        """The rankings by the scores, block → float32 [B, N], of the items that are `ranked`, block → bool [B, N]."""
        return cls(
            {name: np.where(ranked[name], score, np.float32(0)) for name, score in scores.items()},
            {name: descending_ranks(score, ranked[name]).astype(np.float32) for name, score in scores.items()},
        )

    def points(self, combination: str, weights: Mapping[str, float]) -> Points:
        """Block → float32 [B, N]: the points of its ranking, times its weight. Of the combinations all but `sum`."""
        if combination == VOTE:
            return self._votes(weights)
        formula = {BORDA: borda, RECIPROCAL_RANK: reciprocal_rank}[combination]
        return weighted({name: formula(rank) for name, rank in self.ranks.items()}, weights)

    def _votes(self, weights: Mapping[str, float]) -> Points:
        """A weighted vote of each block for its first `VOTED_ITEMS` items, plus a share of the weighted scores that is
        too small to outweigh a vote and so only breaks ties."""
        votes = weighted({name: (rank <= VOTED_ITEMS).astype(np.float32) for name, rank in self.ranks.items()}, weights)
        average = weighted(self.scores, weights)
        # [B, 1]: the largest size of a user's summed scores. Scaled to a third of the least difference between two sums
        # of votes, the scores of two items differ by at most two thirds of it.
        largest = np.abs(total(average)).max(axis=1, keepdims=True, initial=0)
        least = _least_difference([weights.get(name, 1.0) for name in self.ranks])
        share = np.divide(least / 3, largest, out=np.zeros_like(largest), where=largest > 0)
        return {name: votes[name] + share * average[name] for name in votes}


def borda(rank: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n + 1 - 2 rank) / n for ranks [B, N] of n ranked items a row: the share of them that the item beats less the
    share that beats it; 0 where it is not ranked.

    The symmetric form of Borda's count (Young 1974, section 2): it orders as n - rank does, but an item that is not
    ranked is in the middle, not at the end.

    >>> borda(np.array([[1.0, 2.0, 3.0, 4.0, np.inf]])).tolist()
    [[0.75, 0.25, -0.25, -0.75, 0.0]]
    """
    ranked = np.isfinite(rank)
    n = np.maximum(1, ranked.sum(axis=1, keepdims=True))  # [B, 1]
    return np.where(ranked, (n + 1 - 2 * np.where(ranked, rank, 0)) / n, 0).astype(np.float32)


def reciprocal_rank(rank: NDArray[np.floating]) -> NDArray[np.float32]:
    """1 / (k + rank), 0 where the item is not ranked (Cormack, Clarke and Buettcher 2009, RRFscore)."""
    return (1 / (RANK_OFFSET + rank)).astype(np.float32)


def weighted(block_points: Points, weights: Mapping[str, float]) -> Points:
    """The points of each block times its weight, 1 for a block without one."""
    weight = {name: np.float32(weights.get(name, 1.0)) for name in block_points}
    return {name: values if weight[name] == 1 else weight[name] * values for name, values in block_points.items()}


def _least_difference(weights: list[float]) -> np.float32:
    """The least difference between two unequal sums of votes, 0 where all are equal."""
    # A sum of votes is the sum of a subset of the weights; the 2^blocks subsets are few.
    sums = np.sort([float(np.dot(chosen, weights)) for chosen in product((0, 1), repeat=len(weights))])
    apart = np.diff(sums)
    apart = apart[apart > 1e-6 * max(1.0, sums[-1])]
    return np.float32(apart.min() if len(apart) else 0)
