"""Missing vectors from the items around an item."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.crossmodal.views import Views
from fusion.data.catalog import Catalog, History
from fusion.missing.graph import ItemGraph
from fusion.missing.projected import ProjectedPolicy

NEIGHBOURS = 20


class GraphPolicy(ProjectedPolicy):
    """Fills with a weighted mean of nodes of the item graph that have the modality; its mean where none does.

    Args:
        neighbours: how many an item has at most of each kind (`fusion.missing.graph`).
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
    def _weights(self, catalog: Catalog, views: Views, rows: NDArray[np.int64]) -> sp.csr_matrix:
        """CSR float32 [len(rows), K]: how much each node counts for each item, never the item itself."""

    def _learn(self, catalog: Catalog, views: Views, likes: History, *, seed: int) -> None:
        self._graph = ItemGraph.fit(catalog, views, likes, neighbours=self.neighbours)

    def _make(
        self, catalog: Catalog, views: Views, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        asked = np.unique(np.concatenate([np.zeros(0, np.int64), *rows.values()]))
        weights = self._weights(catalog, views, asked)
        nodes = self._graph.views
        made = {}
        for modality, missing in rows.items():
            own = weights[np.searchsorted(asked, missing)]
            total = own @ nodes.masks[modality].astype(np.float32)
            made[modality] = (own @ nodes.x[modality]) / np.where(total > 0, total, 1)[:, None]
        return made


class Neighbours(GraphPolicy):
    """The mean of the item's neighbours that have the modality, weighted by their edges."""

    def _weights(self, catalog: Catalog, views: Views, rows: NDArray[np.int64]) -> sp.csr_matrix:
        return self._graph.edges(catalog, views, rows)
