"""The policy that fills with a mean weighted by personalised PageRank on the item graph."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog, History, positions
from fusion.missing.neighbours import NEIGHBOURS, GraphPolicy

TOLERANCE = 1e-4
"""Probabilities of a step below this are dropped, and walks end when less than a hundred times this is left."""
BLOCK = 256
"""Items whose walks are computed at once."""


class PageRank(GraphPolicy):
    """The mean of the nodes that have the modality, weighted by the personalised PageRank of the item.

    That is how often a node is visited by a random walk along the edges that restarts at the item with probability
    `restart` at every step (Page et al. 1999; Haveliwala 2002, "Topic-Sensitive PageRank", with the item as its topic).
    Unlike `Neighbours`, it reaches nodes beyond the item's own edges, as far as a walk gets with a probability of
    `TOLERANCE`.

    Args:
        restart: above 0 and below 1.
        neighbours, dims: see `GraphPolicy`.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, restart: float = 0.25, neighbours: int = NEIGHBOURS, dims: int = 128) -> None:
        super().__init__(neighbours=neighbours, dims=dims)
        if not 0 < restart < 1:
            raise ValueError(f"restart {restart}: expected a probability above 0 and below 1")
        self.restart = restart

    def _learn(self, catalog: Catalog, items: ProjectedItems, likes: History, *, seed: int) -> None:
        super()._learn(catalog, items, likes, seed=seed)
        self._links = self._graph.links()

    def _weights(self, catalog: Catalog, items: ProjectedItems, rows: NDArray[np.int64]) -> sp.csr_matrix:
        first = self._graph.edges(catalog, items, rows)
        own = positions(self._graph.item_ids, catalog.item_ids)[rows]
        blocks = [
            without_own(visits(first[i : i + BLOCK], self._links, restart=self.restart), own[i : i + BLOCK])
            for i in range(0, len(rows), BLOCK)
        ]
        return sp.vstack(blocks, format="csr") if blocks else first


def visits(first: sp.csr_matrix, links: sp.csr_matrix, *, restart: float) -> sp.csr_matrix:
    """CSR float32 [n, K]: restart * sum over t >= 1 of (1 - restart)^t first links^(t-1), the visits after the start of
    a walk whose first step is `first` [n, K] and whose others follow `links` [K, K].

    A walk restarts at a node without links; that scales all its visits by one factor, and so changes no mean of them.
    """
    # `step` holds the probabilities of being at a node after t steps without a restart, `left` their sum at most.
    step = ((1 - restart) * first).tocsr()
    total, left = step.copy(), 1 - restart
    while step.nnz and left > 100 * TOLERANCE:
        step = ((1 - restart) * (step @ links)).tocsr()
        step.data[step.data < TOLERANCE] = 0
        step.eliminate_zeros()
        total, left = total + step, left * (1 - restart)
    return (restart * total).tocsr().astype(np.float32)


def without_own(weights: sp.csr_matrix, own: NDArray[np.int64]) -> sp.csr_matrix:
    """The weights [n, K] without the entry at column `own[i]` of each row i; -1 for none."""
    # The row of every stored entry, in the order of `indices` and `data`.
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    kept = weights.copy()
    kept.data[kept.indices == own[rows]] = 0
    kept.eliminate_zeros()
    return kept
