"""Policies over the item graph, and the one that fills with the mean of an item's neighbours."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog, History
from fusion.missing.graph import ItemGraph
from fusion.missing.projected import ProjectedPolicy

NEIGHBOURS = 20


class GraphPolicy(ProjectedPolicy):
    """Fills with a weighted mean of the nodes of the item graph that have the modality; without any, with the
    modality's mean.

    Args:
        neighbours: most edges of each kind that an item has (`fusion.missing.graph`).
        dims: see `ProjectedPolicy`.

    Raises:
        ValueError: `neighbours` is below 1.
    """

    def __init__(self, *, neighbours: int = NEIGHBOURS, dims: int = 128) -> None:
        super().__init__(dims=dims)
        if neighbours < 1:
            raise ValueError(f"neighbours {neighbours}: expected 1 or more")
        self.neighbours = neighbours

    @abstractmethod
    def _weights(self, catalog: Catalog, items: ProjectedItems, rows: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [len(rows), K]: the weight of each node for each item, 0 for the item itself."""

    def _learn(self, catalog: Catalog, items: ProjectedItems, likes: History, *, seed: int) -> None:
        self._graph = ItemGraph.fit(catalog, items, likes, neighbours=self.neighbours)

    def _predict(
        self, catalog: Catalog, items: ProjectedItems, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        # The weights are computed once for all items that lack any modality, ascending.
        incomplete = np.unique(np.concatenate([np.zeros(0, np.int64), *rows.values()]))
        weights = self._weights(catalog, items, incomplete)
        nodes = self._graph.items
        filled = {}
        for modality, missing in rows.items():
            own = weights[np.searchsorted(incomplete, missing)]
            total = own @ nodes.masks[modality].astype(np.float32)
            filled[modality] = (own @ nodes.x[modality]) / np.where(total > 0, total, 1)[:, None]
        return filled


class Neighbours(GraphPolicy):
    """The mean of the item's neighbours that have the modality, weighted by their edges."""

    def _weights(self, catalog: Catalog, items: ProjectedItems, rows: NDArray[np.int64]) -> sp.csr_matrix:
        return self._graph.edges(catalog, items, rows)
