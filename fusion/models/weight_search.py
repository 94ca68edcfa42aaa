"""Which weights make a combination of scorers rank best: coordinate search on validation likes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.models.base import Validation
from fusion.ranking.rank_aggregation import SUM, BlockRankings, block_scores, nonzero_items, total, weighted

GRID = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Never 0: what adds little for items with history may be all there is to know of a new one."""
ROUNDS = 3
"""Times that every weight is gone through, at most."""
CELLS = 4_000_000
"""How many scores of a block may be held at once."""

Weights = dict[str, float]


def search(
    start: Mapping[str, float],
    holdout: Validation,
    *,
    users: NDArray[np.float32],
    items: NDArray[np.float32],
    blocks: Mapping[str, slice],
    combination: str,
) -> tuple[Weights, float]:
    """The best weights found and their mean validation ndcg@10.

    One weight after another is set to whichever value of `GRID` ranks best while the others stay, until a round changes
    nothing. What is as good as the present value does not replace it, and the smallest of equals wins. Weights of
    blocks without columns stay as they are.

    Args:
        start: block → weight.
        users: float32 [V, D], of the holdout's users.
        items: float32 [N, D].
        combination: one of `fusion.ranking.rank_aggregation.COMBINATIONS`.
    """
    open_ = {name: columns for name, columns in blocks.items() if columns.stop > columns.start}
    judge = _Judge(holdout, users, items, open_, combination)
    best = dict(start)
    (reached,) = judge.ndcg([best])
    for _ in range(ROUNDS if len(open_) > 1 else 0):
        before = dict(best)
        for name in open_:
            tried = [best | {name: value} for value in GRID if value != best[name]]
            figures = judge.ndcg(tried)
            at = int(np.argmax(figures))
            if figures[at] > reached:
                best, reached = tried[at], figures[at]
        if best == before:
            break
    return best, reached


class _Judge:
    """Mean ndcg of weights, many at a time, so that scores and rankings are made once for all of them."""

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

    def ndcg(self, tried: list[Weights]) -> list[float]:
        per_user: list[list[NDArray[np.float64]]] = [[] for _ in tried]
        for held in self._holdout.batches(self._size):
            scores = block_scores(self._users[held.rows], self._items, self._blocks)
            rankings = None
            if self._combination != SUM:
                ranked = {name: held.candidates & self._nonzero[name] for name in self._blocks}
                rankings = BlockRankings.of(scores, ranked)
            for figures, weights in zip(per_user, tried, strict=True):
                given = rankings.points(self._combination, weights) if rankings else weighted(scores, weights)
                figures.append(held.ndcg(total(given)))
        return [float(np.concatenate(figures).mean()) for figures in per_user]
