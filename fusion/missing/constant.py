"""Policies that fill every gap with one vector: the mean or the median of the observed ones."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History
from fusion.missing.policy import Fill, Policy, filled
from schemas.table import MEDIA


class _Constant(Policy):
    """A modality's missing vectors are one statistic of its observed ones."""

    @abstractmethod
    def _of(self, observed: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, d] → float32 [d]."""

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """`likes` and `seed` are not used."""
        self._vectors: dict[str, NDArray[np.float32]] = {}
        for modality in MEDIA:
            if catalog.masks[modality].any():
                self._vectors[modality] = self._of(catalog.vectors[modality][catalog.masks[modality]])

    def fill(self, catalog: Catalog) -> Catalog:
        rows = {m: np.nonzero(~catalog.masks[m])[0] for m in self._vectors}
        return filled(catalog, {m: Fill(rows[m], np.tile(x, (len(rows[m]), 1))) for m, x in self._vectors.items()})


class Mean(_Constant):
    """The mean of the modality's observed vectors."""

    def _of(self, observed: NDArray[np.float32]) -> NDArray[np.float32]:
        return observed.mean(axis=0, dtype=np.float64).astype(np.float32)


class Median(_Constant):
    """The median of each column of the modality's observed vectors, which is robust to outliers."""

    def _of(self, observed: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.median(observed, axis=0).astype(np.float32)
