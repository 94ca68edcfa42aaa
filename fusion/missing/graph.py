"""The item graph: who is liked together, and who is alike by what both have. Sparse throughout."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.baselines.history import ItemKNN
from fusion.crossmodal.views import Views
from fusion.data.catalog import Catalog, History, places
from fusion.ranking.nearest_neighbours import SHRINK, nearest


class _CoLikes(ItemKNN):
    """The similarities of `ItemKNN` themselves."""

    @property
    def rows(self) -> sp.csr_matrix:
        """CSR float32 [N, N]: row i holds the kept similarities of item i."""
        return self._similarity.T.tocsr()


@dataclass(frozen=True)
class ItemGraph:
    """The K fitted items as nodes, and what leads to them.

    Attributes:
        item_ids: str [K], ascending.
        views: the nodes' observed vectors.
        co_likes: CSR float32 [K, K], the cosine of likes with shrinkage (`fusion.baselines.history.ItemKNN`), the best
            a row.
        neighbours: how many an item has at most of each kind.
    """

    item_ids: NDArray[np.str_]
    views: Views
    co_likes: sp.csr_matrix
    neighbours: int

    @classmethod
    def fit(cls, catalog: Catalog, views: Views, likes: History, *, neighbours: int) -> Self:
        co_likes = _CoLikes(neighbours=neighbours)
        co_likes.fit(likes, len(catalog))
        return cls(catalog.item_ids, views, co_likes.rows, neighbours)

    def edges(self, catalog: Catalog, views: Views, rows: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [len(rows), K]: from items of any catalog to nodes, never to themselves.

        An item's edges to those liked with it sum to 1, and so do those to its nearest by content; an edge weighs the
        mean of both, or what the item has of them. Every row sums to 1, or to 0 where nothing is known of the item.
        """
        place = places(self.item_ids, catalog)[rows]
        together = _stochastic(_rows_at(self.co_likes, place))
        alike = _stochastic(self._nearest(views.where(rows), place))
        return _stochastic(together + alike)

    def links(self) -> sp.csr_matrix:
        """CSR float32 [K, K]: the edges of the nodes themselves."""
        nodes = Catalog(self.item_ids, self.views.x, self.views.masks)
        return self.edges(nodes, self.views, np.arange(len(self.item_ids)))

    def _nearest(self, queries: Views, place: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [n, K]: similarity to the most alike nodes, where it is above 0
        (`fusion.ranking.nearest_neighbours`).

        Args:
            place: int64 [n], where each query is a node; -1 where it is not.
        """
        ours = list(self.views.x)
        if not ours:
            return sp.csr_matrix((len(place), len(self.item_ids)), dtype=np.float32)
        return nearest(
            [queries.x[m] for m in ours],
            [self.views.x[m] for m in ours],
            k=self.neighbours,
            own=place,
            shrink=SHRINK,
        )


def _rows_at(matrix: sp.csr_matrix, place: NDArray[np.int64]) -> sp.csr_matrix:
    """The rows at `place`; empty where it is -1."""
    known = np.nonzero(place >= 0)[0]
    ones = np.ones(len(known), np.float32)
    return sp.csr_matrix((ones, (known, place[known])), shape=(len(place), matrix.shape[0])) @ matrix


def _stochastic(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows of sum 1; an empty row stays."""
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return (sp.diags_array(1 / np.where(total > 0, total, 1)) @ matrix).astype(np.float32).tocsr()
