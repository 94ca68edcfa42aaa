"""The modalities of items as cross-modal learning sees them: projected, standardised, and masked."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog
from fusion.data.projection import Projection, speaks

MAX_ROWS = 20_000
"""What is learnt of two modalities is learnt from at most so many items."""


@dataclass(frozen=True)
class Views:
    """Row i of every array speaks of the same item.

    Attributes:
        x: modality → float32 [N, p_m], 0 where the item lacks it; only modalities of which something is known.
        masks: modality → bool [N], of the same modalities.
    """

    x: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, catalog: Catalog, projections: Mapping[str, Projection]) -> "Views":
        """The catalog's items, projected. A modality whose projection has no column is left out."""
        masks = speaks(catalog, projections)
        known = [m for m, projection in projections.items() if projection.dims]
        x = {m: projections[m](catalog.vectors[m], catalog.masks[m]) for m in known}
        return cls(x, {m: masks[m] for m in known})

    def __len__(self) -> int:
        return len(next(iter(self.masks.values()), ()))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two modalities once, in order."""
        return list(combinations(self.x, 2))

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Views":
        """The items that `rows` marks or names."""
        return Views({m: x[rows] for m, x in self.x.items()}, {m: mask[rows] for m, mask in self.masks.items()})

    def both(self, first: str, second: str) -> NDArray[np.bool_]:
        """bool [N]: the item has both modalities."""
        return self.masks[first] & self.masks[second]

    def others(self, modality: str) -> list[str]:
        """The modalities from which this one may be told."""
        return [m for m in self.x if m != modality]

    def shown(self, modalities: list[str]) -> NDArray[np.bool_]:
        """bool [N, len(modalities)]: which of them the item has."""
        return np.stack([self.masks[m] for m in modalities], axis=1) if modalities else np.zeros((len(self), 0), bool)


def spaced(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Ascending places of the marked rows; of more than `MAX_ROWS`, evenly spaced ones, no more than so many."""
    rows = np.nonzero(marked)[0]
    return rows[:: max(1, -(-len(rows) // MAX_ROWS))]


def held_out(n: int, *, share: float, seed: int) -> NDArray[np.bool_]:
    """bool [n]: `floor(share * n)` of the rows, drawn by the seed."""
    marked = np.zeros(n, np.bool_)
    marked[np.random.default_rng(seed).permutation(n)[: int(share * n)]] = True
    return marked
