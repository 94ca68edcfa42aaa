"""Coordinate search, on validation likes, for the weights with which a combination of scorers ranks best."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.models.base import Validation
from fusion.ranking.rank_aggregation import SUM, BlockRankings, block_scores, nonzero_items, total, weighted

GRID = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Never 0: a block that adds little for items with history may be all that a new item has."""
ROUNDS = 3
"""Maximum number of passes over all weights."""
CELLS = 4_000_000
"""Maximum number of scores of a block that are held at once."""

Weights = dict[str, float]


def search_weights(
    initial: Mapping[str, float],
    holdout: Validation,
    *,
    users: NDArray[np.float32],
    items: NDArray[np.float32],
    blocks: Mapping[str, slice],
    combination: str,
) -> tuple[Weights, float]:
    """The best weights found, and their mean validation ndcg@10.

    One weight after another is set to the value of `GRID` that ranks best while the others stay, until a round changes
    nothing. A value as good as the present one does not replace it; of equally good ones the smallest is taken. The
    weights of blocks without columns stay as they are.

    Args:
        initial: block → weight.
        users: float32 [V, D], of the holdout's users.
        items: float32 [N, D].
        combination: one of `fusion.ranking.rank_aggregation.COMBINATIONS`.
    """
    searched = {name: columns for name, columns in blocks.items() if columns.stop > columns.start}
    evaluator = _Evaluator(holdout, users, items, searched, combination)
    best = dict(initial)
    (best_ndcg,) = evaluator.ndcg([best])
    for _ in range(ROUNDS if len(searched) > 1 else 0):
        before = dict(best)
        for name in searched:
            # GRID ascends and argmax takes the first of equals: the smallest value wins
            trials = [best | {name: value} for value in GRID if value != best[name]]
            figures = evaluator.ndcg(trials)
            at = int(np.argmax(figures))
            if figures[at] > best_ndcg:
                best, best_ndcg = trials[at], figures[at]
        if best == before:
            break
    return best, best_ndcg


class _Evaluator:
    """Mean ndcg of several trials of weights at once, so that scores and rankings are computed once for all of them."""

    def __init__(
        self,
        holdout: Validation,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        blocks: Mapping[str, slice],
        combination: str,
    ) -> None:
        self._holdout, self._users, self._items = holdout, users, items
        self._blocks, self._combination = blocks, combination
        self._nonzero = nonzero_items(items, blocks)
        self._size = max(1, CELLS // max(1, len(items)))

    def ndcg(self, trials: list[Weights]) -> list[float]:
        """The mean ndcg@10 of each trial."""
        per_user: list[list[NDArray[np.float64]]] = [[] for _ in trials]
        for batch in self._holdout.batches(self._size):
            # block → [B, N]; a ranking of a block's scores is of the candidates that have the block
            scores = block_scores(self._users[batch.rows], self._items, self._blocks)
            rankings = None
            if self._combination != SUM:
                ranked = {name: batch.candidates & self._nonzero[name] for name in self._blocks}
                rankings = BlockRankings.of(scores, ranked)
            for figures, weights in zip(per_user, trials, strict=True):
                given = rankings.points(self._combination, weights) if rankings else weighted(scores, weights)
                figures.append(batch.ndcg(total(given)))
        return [float(np.concatenate(figures).mean()) for figures in per_user]
