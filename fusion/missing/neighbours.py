"""The policy that fills with the mean of an item's neighbours in the item graph."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog, History
from fusion.missing.graph import ItemGraph
from fusion.missing.projected import ProjectedPolicy

NEIGHBOURS = 20


class Neighbours(ProjectedPolicy):
    """The mean of the item's neighbours that have the modality, weighted by their edges; without any, the modality's
    mean.

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

    def _learn(self, catalog: Catalog, items: ProjectedItems, likes: History, *, seed: int) -> None:
        self._graph = ItemGraph.fit(catalog, items, likes, neighbours=self.neighbours)

    def _predict(
        self, catalog: Catalog, items: ProjectedItems, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        # The edges are found once for all items that lack any modality, ascending.
        incomplete = np.unique(np.concatenate([np.zeros(0, np.int64), *rows.values()]))
        weights = self._graph.edges(catalog, items, incomplete)
        nodes = self._graph.items
        filled = {}
        for modality, missing in rows.items():
            own = weights[np.searchsorted(incomplete, missing)]
            total = own @ nodes.masks[modality].astype(np.float32)
            filled[modality] = (own @ nodes.x[modality]) / np.where(total > 0, total, 1)[:, None]
        return filled
