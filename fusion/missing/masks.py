"""Policies that fill nothing in: gaps stay, or items with gaps are dropped."""

from dataclasses import replace

import numpy as np

from fusion.data.catalog import Catalog, History, zeroed
from fusion.missing.policy import Policy
from schemas.table import MEDIA


class Untouched(Policy):
    """Missing vectors stay missing."""

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """Does nothing."""

    def fill(self, catalog: Catalog) -> Catalog:
        return catalog


class Drop(Policy):
    """Items that lack a usual modality are dropped: all their masks are False.

    Usual are the media that a share of at least `USUAL` of the fitted items has. Figures over the complete items
    that are left look better, but the dropped ones cannot be recommended: this policy is for comparison only.
    """

    USUAL = 0.5

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """`likes` and `seed` are not used."""
        self._usual = np.array([m for m in MEDIA if len(catalog) and catalog.masks[m].mean() >= self.USUAL], "U8")

    def fill(self, catalog: Catalog) -> Catalog:
        whole = np.ones(len(catalog), np.bool_)
        for modality in self._usual:
            whole &= catalog.masks[str(modality)]
        vectors = {m: zeroed(x, whole) for m, x in catalog.vectors.items()}
        return replace(catalog, vectors=vectors, masks={m: mask & whole for m, mask in catalog.masks.items()})
