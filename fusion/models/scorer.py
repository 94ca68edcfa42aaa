"""The scores of a fitted model for any users over the whole catalog."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, Scorer, seen_matrix
from fusion.models.base import Strategy
from fusion.ranking.rank_aggregation import SUM, block_scores, combined, total


def scorer(model: Strategy, catalog: Catalog, history: History, *, new_items: bool = False) -> Scorer:
    """A function from users int64 [B], positions in `history.user_ids`, to float32 [B, N], their scores of the
    catalog's items by their likes in `history`.

    Where the model combines rankings, the items that the user has had, liked or only seen, are not ranked. A call holds
    the scores by all blocks at once: ask for no more users than there is memory for.

    Args:
        new_items: only items that nobody has had are to be ranked, among themselves.
    """
    return scorers(model, {"": catalog}, history, new_items=new_items)[""]


def scorers(
    model: Strategy, catalogs: Mapping[str, Catalog], history: History, *, new_items: bool = False
) -> dict[str, Scorer]:
    """As `scorer`, for each of several catalogs of the same items, such as one and the same without a modality.

    Asked for the same users one after another, the functions share the dot products of every block whose vectors are
    those of the first catalog.
    """
    vectors_of = model.new_item_user_vectors if new_items else model.user_vectors
    blocks = {name: columns for name, columns in model.blocks.items() if columns.stop > columns.start}
    first: dict[str, _Products] = {}
    found: dict[str, Scorer] = {}
    for name, catalog in catalogs.items():
        users, items = vectors_of(catalog, history), model.item_vectors(catalog)
        products = {}
        for block, columns in blocks.items():
            vectors = (users[:, columns], items[:, columns])
            same = block in first and first[block].are_of(*vectors)
            products[block] = first[block] if same else _Products(*vectors)
            first.setdefault(block, products[block])
        found[name] = _total(model, products, history, n_items=len(catalog))
    return found


class _Products:
    """The dot products of a block's vectors, float32 [U, d] and [N, d]; those of the last users are kept."""

    def __init__(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        self.nonzero = (items != 0).any(axis=1)
        # copies, so that these columns alone are held
        self._users, self._items = users.copy(), items.copy()
        self._asked, self._scores = np.full(0, -1), np.zeros((0, len(items)), np.float32)

    def are_of(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> bool:
        return np.array_equal(self._items, items) and np.array_equal(self._users, users)

    def __call__(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [B, N], not to be changed."""
        if not np.array_equal(users, self._asked):
            # without an item that has the block there is nothing to multiply
            columns = slice(0, self._items.shape[1] if self.nonzero.any() else 0)
            self._scores = block_scores(self._users[users], self._items, {"": columns})[""]
            self._asked = users.copy()
        return self._scores


def _total(model: Strategy, products: Mapping[str, _Products], history: History, *, n_items: int) -> Scorer:
    combination, weights, had = model.combination, model.block_weights, seen_matrix(history, n_items)
    nonzero = {block: of.nonzero for block, of in products.items()}

    def scores(users: NDArray[np.int64]) -> NDArray[np.float32]:
        if not products:
            return np.zeros((len(users), n_items), np.float32)
        given = combined(
            {block: of(users) for block, of in products.items()},
            combination=combination,
            weights=weights,
            candidates=None if combination == SUM else had[users].toarray() == 0,
            nonzero=nonzero,
        )
        return total(given)

    return scores
