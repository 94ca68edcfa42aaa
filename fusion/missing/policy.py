"""The interface of a policy for missing modalities: from a catalog, the same catalog with fewer gaps."""

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
        rows: int64 [n], indices into the catalog.
        vectors: float32 [n, d].
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


class Policy(ABC):
    """Handles the media that items lack; attributes are never filled in.

    A policy learns from observed vectors only, and never changes one. A vector that it fills in has its mask True, so
    that a model uses it; the caller keeps the original catalog to know what items really have. A policy is fitted once
    and then applied to any catalog: items are matched by their `item_id`.
    """

    @abstractmethod
    def fit(self, catalog: Catalog, likes: History, *, seed: int) -> None:
        """Learns from the catalog's observed vectors, and from the rows of `likes` whose weight is above 0."""

    @abstractmethod
    def fill(self, catalog: Catalog) -> Catalog:
        """A new catalog with the policy applied. A modality that no fitted item had stays missing."""


def filled(catalog: Catalog, fills: Mapping[str, Fill]) -> Catalog:
    """The catalog with the vectors of `fills`, modality → `Fill`, and the masks of their rows True.

    Raises:
        ValueError: a row was not missing, or the catalog's vectors are of another width.
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
    """float32 [N, d]: the modality's vectors with the fill. Where no item has the modality, any width is accepted."""
    old, width = catalog.vectors[modality], fill.vectors.shape[1]
    if old.shape[1] != width:
        if catalog.masks[modality].any():
            raise ValueError(f"{modality} vectors of width {old.shape[1]}: expected {width}, as fitted")
        old = np.zeros((len(catalog), width), np.float32)
    new = old.copy()
    new[fill.rows] = fill.vectors
    return new
