"""The contract of a policy for missing modalities: a catalog in, the same catalog with fewer gaps out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History


@dataclass(frozen=True)
class Fill:
    """Vectors for some items of a catalog.

    Attributes:
        rows: int64 [n], places in the catalog.
        vectors: float32 [n, d].
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


class Policy(ABC):
    """What is done about modalities that items lack.

    A policy learns from observed vectors only, and never changes one. A vector that it makes up has its mask True, so
    that a model uses it; whoever tells users what an item has keeps the catalog as it was. It is fitted once and then
    applied to any catalog: items are known by their `item_id`.
    """

    @abstractmethod
    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """Learns from the catalog's observed vectors, and from the rows of `likes` whose weight is above 0."""

    @abstractmethod
    def fill(self, catalog: Catalog) -> Catalog:
        """The catalog with the policy applied; the one given stays as it is. A modality that no fitted item had stays
        missing."""


def filled(catalog: Catalog, fills: Mapping[str, Fill]) -> Catalog:
    """The catalog with those rows in their modalities, and their masks True.

    Raises:
        ValueError: a row is already there, or the catalog's vectors are of another width.
    """
    vectors, masks = dict(catalog.vectors), dict(catalog.masks)
    for modality, fill in fills.items():
        if not len(fill.rows):
            continue
        if masks[modality][fill.rows].any():
            raise ValueError(f"{modality} of {catalog.item_ids[fill.rows[0]]!r}, ...: observed, expected missing rows")
        vectors[modality] = _with(catalog, modality, fill)
        masks[modality] = masks[modality].copy()
        masks[modality][fill.rows] = True
    return replace(catalog, vectors=vectors, masks=masks)


def _with(catalog: Catalog, modality: str, fill: Fill) -> NDArray[np.float32]:
    """float32 [N, d]. Where no item has the modality, its vectors may come without their width."""
    old, width = catalog.vectors[modality], fill.vectors.shape[1]
    if old.shape[1] != width:
        if catalog.masks[modality].any():
            raise ValueError(f"{modality} vectors of width {old.shape[1]}: expected {width}, as fitted")
        old = np.zeros((len(catalog), width), np.float32)
    new = old.copy()
    new[fill.rows] = fill.vectors
    return new
