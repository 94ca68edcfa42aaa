"""Rows that belong to items known by id, found again in whatever catalog is at hand."""

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog


def places(item_ids: NDArray[np.str_], catalog: Catalog) -> NDArray[np.int64]:
    """int64 [N]: where each of the catalog's items stands in `item_ids` (ascending); -1 where it does not."""
    if not len(item_ids):
        return np.full(len(catalog), -1)
    place = np.minimum(np.searchsorted(item_ids, catalog.item_ids), len(item_ids) - 1)
    return np.where(item_ids[place] == catalog.item_ids, place, -1)


def rows_at(table: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [N, d]: the rows of `table` at `places`, 0 where a place is -1."""
    if not len(table):
        return np.zeros((len(places), table.shape[1]), np.float32)
    return np.where(places[:, None] >= 0, table[places], 0).astype(np.float32)
