"""The item graph: edges between items liked by the same users, and between items of similar content. Sparse."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.baselines.history import ItemKNN
from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog, History, positions
from fusion.ranking.nearest_neighbours import SHRINK, nearest


class _CoLikes(ItemKNN):
    """`ItemKNN` with access to its similarities."""

    @property
    def rows(self) -> sp.csr_matrix:
        """CSR float32 [N, N]: row i holds the kept similarities of item i."""
        return self._similarity.T.tocsr()


@dataclass(frozen=True)
class ItemGraph:
    """The K fitted items as nodes, and weighted edges to them.

    Attributes:
        item_ids: str [K], ascending.
        items: the nodes' observed vectors.
        co_likes: CSR float32 [K, K], the cosine of likes with shrinkage (`fusion.baselines.history.ItemKNN`), of each
            row the highest.
        neighbours: most edges of each kind that an item has.
    """

    item_ids: NDArray[np.str_]
    items: ProjectedItems
    co_likes: sp.csr_matrix
    neighbours: int

    @classmethod
    def fit(cls, catalog: Catalog, items: ProjectedItems, likes: History, *, neighbours: int) -> Self:
        co_likes = _CoLikes(neighbours=neighbours)
        co_likes.fit(likes, len(catalog))
        return cls(catalog.item_ids, items, co_likes.rows, neighbours)

    def edges(self, catalog: Catalog, items: ProjectedItems, rows: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [len(rows), K]: edges from items of any catalog to the nodes, never to themselves.

        An item's edges by common likes sum to 1, and so do those by content; the result is the mean of both, or the one
        kind that the item has. Every row sums to 1, or to 0 for an item without edges.

        Args:
            rows: int64, the items of the catalog.
        """
        nodes = positions(self.item_ids, catalog.item_ids)[rows]
        by_likes = _row_normalised(_rows_or_empty(self.co_likes, nodes))
        by_content = _row_normalised(self._nearest(items.where(rows), nodes))
        return _row_normalised(by_likes + by_content)

    def _nearest(self, queries: ProjectedItems, nodes: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [n, K]: similarity to the most similar nodes, where it is above 0
        (`fusion.ranking.nearest_neighbours`).

        Args:
            nodes: int64 [n], the node that each query is; -1 where it is none.
        """
        modalities = list(self.items.x)
        if not modalities:
            return sp.csr_matrix((len(nodes), len(self.item_ids)), dtype=np.float32)
        return nearest(
            [queries.x[m] for m in modalities],
            [self.items.x[m] for m in modalities],
            k=self.neighbours,
            own=nodes,
            shrink=SHRINK,
        )


def _rows_or_empty(matrix: sp.csr_matrix, rows: NDArray[np.int64]) -> sp.csr_matrix:
    """CSR [n, K]: the given rows of the matrix [K, K]; an empty row for -1."""
    known = np.nonzero(rows >= 0)[0]
    ones = np.ones(len(known), np.float32)
    return sp.csr_matrix((ones, (known, rows[known])), shape=(len(rows), matrix.shape[0])) @ matrix


def _row_normalised(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows of sum 1; an empty row stays."""
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return (sp.diags_array(1 / np.where(total > 0, total, 1)) @ matrix).astype(np.float32).tocsr()
