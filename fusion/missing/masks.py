"""Policies that make nothing up: masks as they are, or items with gaps hidden."""

from dataclasses import replace

import numpy as np

from fusion.data.catalog import Catalog, History
from fusion.missing.policy import Policy
from schemas.table import MODALITIES


class Untouched(Policy):
    """Missing stays missing."""

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """Nothing is learnt."""

    def fill(self, catalog: Catalog) -> Catalog:
        return catalog


class Drop(Policy):
    """Items that lack a usual modality are hidden: all their masks are False.

    Usual are the modalities that at least `USUAL` of the fitted catalog has. What is left is complete, which flatters
    every figure and serves nobody whose items are hidden; the policy is here to be compared with.
    """

    USUAL = 0.5

    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """`likes` and `seed` play no part."""
        self._usual = np.array([m for m in MODALITIES if len(catalog) and catalog.masks[m].mean() >= self.USUAL], "U8")

    def fill(self, catalog: Catalog) -> Catalog:
        whole = np.ones(len(catalog), np.bool_)
        for modality in self._usual:
            whole &= catalog.masks[str(modality)]
        hidden = {m: np.where(whole[:, None], x, 0).astype(np.float32) for m, x in catalog.vectors.items()}
        return replace(catalog, vectors=hidden, masks={m: mask & whole for m, mask in catalog.masks.items()})
