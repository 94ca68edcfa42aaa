"""The base of policies that learn on projected vectors and map back to a modality's own space."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems
from fusion.data.catalog import Catalog, History
from fusion.data.projection import fit_projections
from fusion.missing.policy import Fill, Policy, filled
from schemas.table import MEDIA


class ProjectedPolicy(Policy):
    """Learns on the observed vectors, standardised and projected, and maps its predictions back.

    A gap that the policy has no evidence for gets the modality's mean. A modality whose observed vectors are all equal
    has no projection and stays as it is.

    Args:
        dims: columns that a modality's vectors are projected onto.

    Raises:
        ValueError: `dims` is below 1.
    """

    def __init__(self, *, dims: int = 128) -> None:
        if dims < 1:
            raise ValueError(f"dims {dims}: expected 1 or more")
        self.dims = dims

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        self._projections = fit_projections(catalog, dims=self.dims, modalities=MEDIA)
        self._learn(catalog, ProjectedItems.of(catalog, self._projections), likes.likes(), seed=seed)

    def fill(self, catalog: Catalog) -> Catalog:
        items = ProjectedItems.of(catalog, self._projections)
        rows = {m: np.nonzero(~mask)[0] for m, mask in items.masks.items()}
        predicted = self._predict(catalog, items, rows)
        return filled(catalog, {m: Fill(rows[m], self._projections[m].inverse(x)) for m, x in predicted.items()})

    @abstractmethod
    def _learn(self, catalog: Catalog, items: ProjectedItems, likes: History, *, seed: int) -> None:
        """Learns from the items, which hold observed vectors only."""

    @abstractmethod
    def _predict(
        self, catalog: Catalog, items: ProjectedItems, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Modality → float32 [n, p_m], for its `rows`, the items that lack it; 0 is the mean."""
