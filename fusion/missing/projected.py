"""What policies share that learn on projected vectors: the projections, and the way back to a modality's own space."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.views import Views
from fusion.data.catalog import Catalog, History
from fusion.data.projection import fit_projections
from fusion.missing.policy import Fill, Policy, filled


class ProjectedPolicy(Policy):
    """Learns on the observed vectors, standardised and projected; what it makes is projected back.

    A gap about which an item tells nothing gets the modality's mean. A modality whose observed vectors are all the same
    tells no item from another and stays as it is.

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
        self._projections = fit_projections(catalog, dims=self.dims)
        self._learn(catalog, Views.of(catalog, self._projections), likes.likes(), seed=seed)

    def fill(self, catalog: Catalog) -> Catalog:
        views = Views.of(catalog, self._projections)
        rows = {m: np.nonzero(~mask)[0] for m, mask in views.masks.items()}
        made = self._make(catalog, views, rows)
        return filled(catalog, {m: Fill(rows[m], self._projections[m].inverse(x)) for m, x in made.items()})

    @abstractmethod
    def _learn(self, catalog: Catalog, views: Views, likes: History, *, seed: int) -> None:
        """Learns from the views, which are observed throughout."""

    @abstractmethod
    def _make(
        self, catalog: Catalog, views: Views, rows: Mapping[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Modality → float32 [n, p_m], for the items at `rows`, which lack it; 0 is the mean."""
