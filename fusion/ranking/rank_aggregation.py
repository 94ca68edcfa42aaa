"""How the scores of a model's blocks become one: summed, or as places in the blocks' own rankings. NumPy only: Spark's
workers import it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

SUM, BORDA, RECIPROCAL_RANK, VOTE = "sum", "borda", "reciprocal_rank", "vote"
COMBINATIONS = (SUM, BORDA, RECIPROCAL_RANK, VOTE)

RANK_OFFSET = 60
"""k of reciprocal rank fusion, as its authors set it."""
VOTED = 50
"""How many items a block votes for."""
ITEMS_AT_ONCE = 32_768
"""Rows of the item matrix that are held as float64."""

Points = dict[str, NDArray[np.float32]]


def check(combination: str) -> None:
    """Raises ValueError where there is no such combination."""
    if combination not in COMBINATIONS:
        raise ValueError(f"combination {combination!r}: expected one of {', '.join(COMBINATIONS)}")


def speaking(items: NDArray[np.float32], blocks: Mapping[str, slice]) -> dict[str, NDArray[np.bool_]]:
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
    speaks: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Points:
    """Block → float32 [B, N]: what it gives each item for each user; `total` adds them up to the score.

    Args:
        users: float32 [B, D].
        items: float32 [N, D].
        blocks: block → its columns.
        combination: one of `COMBINATIONS`.
        weights: block → how much it counts; one left out counts 1.
        candidates: bool [B, N], the items that may be ranked for the user; None for all. Ranks are places among them,
            and under every combination but `sum` the other items get 0.
        speaks: what `speaking` says, where it is at hand.

    Raises:
        ValueError: there is no such combination.
    """
    check(combination)
    scores = block_scores(users, items, blocks)
    if combination == SUM:
        return weighted(scores, weights or {})
    speaks = speaking(items, blocks) if speaks is None else speaks
    allowed = np.ones((len(users), len(items)), np.bool_) if candidates is None else candidates
    return Ballots.of(scores, {name: allowed & speaks[name] for name in blocks}).points(combination, weights or {})


def total(given: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32 [...]: the sum over blocks, in their order, so that the same points give the same bits.

    Raises:
        ValueError: there is no block.
    """
    if not given:
        raise ValueError("points of no block: expected at least one")
    first, *others = given.values()
    score = first.copy()
    for values in others:
        score += values
    return score


def block_scores(users: NDArray[np.float32], items: NDArray[np.float32], blocks: Mapping[str, slice]) -> Points:
    """Block → float32 [B, N]: dot products over its columns, computed in float64 and then rounded.

    The last bits of a matrix product depend on which rows are multiplied together. In float64 they lie far below what
    float32 can tell, so a user's scores do not depend on their companions.
    """
    scores = {}
    for name, columns in blocks.items():
        own = users[:, columns].astype(np.float64)
        scores[name] = np.zeros((len(users), len(items)), np.float32)
        for start in range(0, len(items) if own.shape[1] else 0, ITEMS_AT_ONCE):
            rows = slice(start, start + ITEMS_AT_ONCE)
            scores[name][:, rows] = own @ items[rows, columns].astype(np.float64).T
    return scores


def places(scores: NDArray[np.float32], ranked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 [B, N]: the item's place from the best, 1, downwards among those of its row that are ranked; ties share
    their mean place; infinity where it is not ranked."""
    values = np.where(ranked, -scores.astype(np.float64), np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    falling = np.take_along_axis(values, order, axis=1)
    place = np.broadcast_to(np.arange(1.0, values.shape[1] + 1), values.shape)
    changes = np.ones(values.shape, np.bool_)
    changes[:, 1:] = falling[:, 1:] != falling[:, :-1]
    first = np.maximum.accumulate(np.where(changes, place, 0), axis=1)
    ends = np.ones(values.shape, np.bool_)
    ends[:, :-1] = changes[:, 1:]
    last = np.minimum.accumulate(np.where(ends, place, np.inf)[:, ::-1], axis=1)[:, ::-1]
    found = np.empty(values.shape)
    np.put_along_axis(found, order, (first + last) / 2, axis=1)
    return np.where(ranked, found, np.inf)


@dataclass(frozen=True)
class Ballots:
    """Each block's ranking of the items for some users.

    Attributes:
        scores: block → float32 [B, N], 0 where the item is not ranked.
        places: block → float32 [B, N], as `places` gives them.
    """

    scores: Points
    places: Points

    @classmethod
    def of(cls, scores: Mapping[str, NDArray[np.float32]], ranked: Mapping[str, NDArray[np.bool_]]) -> "Ballots":
        """Ballots from a block's scores float32 [B, N] and the items that it ranks, bool [B, N]."""
        return cls(
            {name: np.where(ranked[name], score, np.float32(0)) for name, score in scores.items()},
            {name: places(score, ranked[name]).astype(np.float32) for name, score in scores.items()},
        )

    def points(self, combination: str, weights: Mapping[str, float]) -> Points:
        """Block → float32 [B, N]: what its ranking gives each item."""
        if combination == VOTE:
            return self._votes(weights)
        formula = {BORDA: borda, RECIPROCAL_RANK: reciprocal_rank}[combination]
        return weighted({name: formula(place) for name, place in self.places.items()}, weights)

    def _votes(self, weights: Mapping[str, float]) -> Points:
        """A vote of each block for its first `VOTED` items, plus so small a share of the weighted scores that it only
        decides between items with the same votes."""
        votes = weighted({name: (place <= VOTED).astype(np.float32) for name, place in self.places.items()}, weights)
        average = weighted(self.scores, weights)
        largest = np.abs(total(average)).max(axis=1, keepdims=True, initial=0)
        least = _gap([weights.get(name, 1.0) for name in self.places])
        share = np.divide(least / 3, largest, out=np.zeros_like(largest), where=largest > 0)
        return {name: votes[name] + share * average[name] for name in votes}


def borda(place: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n + 1 - 2 place) / n for places [B, N] of n ranked items a row: the share of them that the item beats less the
    share that beats it; 0 where it is not ranked.

    The symmetric form of Borda's count (Young 1974, section 2): it orders as n - place does, but an item that is not
    ranked stands in the middle, not at the end.
    """
    ranked = np.isfinite(place)
    n = np.maximum(1, ranked.sum(axis=1, keepdims=True))
    return np.where(ranked, (n + 1 - 2 * np.where(ranked, place, 0)) / n, 0).astype(np.float32)


def reciprocal_rank(place: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (k + place), 0 where the item is not ranked (Cormack, Clarke and Buettcher 2009, RRFscore)."""
    return (1 / (RANK_OFFSET + place)).astype(np.float32)


def weighted(given: Points, weights: Mapping[str, float]) -> Points:
    """The points of each block times its weight; a block without one counts 1."""
    weight = {name: np.float32(weights.get(name, 1.0)) for name in given}
    return {name: values if weight[name] == 1 else weight[name] * values for name, values in given.items()}


def _gap(weights: list[float]) -> np.float32:
    """The least by which two sums of votes differ: of the sums of all subsets of the weights, the nearest two that are
    not the same."""
    sums = np.sort([float(np.dot(chosen, weights)) for chosen in product((0, 1), repeat=len(weights))])
    apart = np.diff(sums)
    apart = apart[apart > 1e-6 * max(1.0, sums[-1])]
    return np.float32(apart.min() if len(apart) else 0)
