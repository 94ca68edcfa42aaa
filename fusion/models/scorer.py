"""The scores of a fitted model for any users over the whole catalog."""

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, Scorer, seen_matrix
from fusion.models.base import Strategy
from fusion.ranking.rank_aggregation import SUM, nonzero_items, points, total

CELLS = 4_000_000
"""Maximum number of scores of a block that are held at once."""


def scorer(model: Strategy, catalog: Catalog, history: History, *, new_items: bool = False) -> Scorer:
    """A function from users int64 [B], positions in `history.user_ids`, to float32 [B, N], their scores of the
    catalog's items by their likes in `history`.

    Where the model combines rankings, the items that the user has had, liked or only seen, are not ranked.

    Args:
        new_items: only items that nobody has had are to be ranked, among themselves.
    """
    vectors_of = model.new_item_user_vectors if new_items else model.user_vectors
    items, users = model.item_vectors(catalog), vectors_of(catalog, history)
    blocks = {name: columns for name, columns in model.blocks.items() if columns.stop > columns.start}
    combination, weights, nonzero = model.combination, model.block_weights, nonzero_items(items, blocks)
    had = seen_matrix(history, len(catalog))
    size = max(1, CELLS // max(1, len(catalog)))

    def scores(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.zeros((len(rows), len(catalog)), np.float32)
        for start in range(0, len(rows) if blocks else 0, size):
            batch = rows[start : start + size]
            given = points(
                users[batch],
                items,
                blocks,
                combination=combination,
                weights=weights,
                candidates=None if combination == SUM else had[batch].toarray() == 0,
                nonzero=nonzero,
            )
            found[start : start + size] = total(given)
        return found

    return scores
