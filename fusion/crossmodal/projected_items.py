"""The items of cross-modal learning: projected, standardised modality vectors with masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, evenly_spaced
from fusion.data.projection import Projection, modality_masks

MAX_ROWS = 20_000
"""Most items that a translator or alignment is fitted on."""


@dataclass(frozen=True)
class ProjectedItems:
    """The projected modalities of N items; row i of every array belongs to item i.

    Attributes:
        x: modality → float32 [N, p_m], zeros where the item lacks it; only modalities with a projection.
        masks: modality → bool [N], of the same modalities.
    """

    x: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, catalog: Catalog, projections: Mapping[str, Projection]) -> "ProjectedItems":
        """The catalog's items, projected. A modality whose projection has no column is left out."""
        masks = modality_masks(catalog, projections)
        known = [m for m, projection in projections.items() if projection.dims]
        x = {m: projections[m](catalog.vectors[m], catalog.masks[m]) for m in known}
        return cls(x, {m: masks[m] for m in known})

    def __len__(self) -> int:
        return len(next(iter(self.masks.values()), ()))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of modalities, in order."""
        return list(combinations(self.x, 2))

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "ProjectedItems":
        """The items that `rows` selects: a bool mask [N], or row indices."""
        return ProjectedItems(
            {m: x[rows] for m, x in self.x.items()}, {m: mask[rows] for m, mask in self.masks.items()}
        )

    def both(self, first: str, second: str) -> NDArray[np.bool_]:
        """bool [N]: the item has both modalities."""
        return self.masks[first] & self.masks[second]

    def others(self, modality: str) -> list[str]:
        """The modalities from which this one is predicted."""
        return [m for m in self.x if m != modality]

    def mask_matrix(self, modalities: list[str]) -> NDArray[np.bool_]:
        """bool [N, len(modalities)]: which of them the item has."""
        return np.stack([self.masks[m] for m in modalities], axis=1) if modalities else np.zeros((len(self), 0), bool)


def training_rows(usable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Ascending indices of the rows that are True, evenly training_rows ones if they are more than `MAX_ROWS`."""
    return evenly_spaced(np.nonzero(usable)[0], most=MAX_ROWS)


def held_out(n: int, *, share: float, seed: int) -> NDArray[np.bool_]:
    """bool [n], True for `floor(share * n)` rows, drawn by the seed."""
    drawn = np.zeros(n, np.bool_)
    drawn[np.random.default_rng(seed).permutation(n)[: int(share * n)]] = True
    return drawn
