"""Popularity by time, as a linear function of where in time a user is."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History

BINS = 64
MEMORY = 1 / 8
"""Distance in time at which a like weighs 1/e, as a share of the history's span."""


@dataclass(frozen=True)
class RecentPopularity:
    """popularity(i, t) = sum over bins b of counts_ib e^(-|t - centre of b| / memory).

    Attributes:
        start: of the first bin, microseconds.
        width: of a bin, microseconds, at least 1.
        counts: float32 [N, BINS], an item's likes in each bin.
    """

    start: int
    width: float
    counts: NDArray[np.float32]

    @classmethod
    def fit(cls, likes: History, *, n_items: int) -> Self:
        """Bins of equal width over the span of the likes' timestamps."""
        start = int(likes.timestamp.min()) if len(likes) else 0
        span = int(likes.timestamp.max()) - start + 1 if len(likes) else BINS
        width = max(1.0, span / BINS)
        bins = np.minimum(BINS - 1, (likes.timestamp - start) // width).astype(np.int64)
        # one count over the flat index item * BINS + bin gives the table [N, BINS]
        flat = np.bincount(likes.item.astype(np.int64) * BINS + bins, minlength=n_items * BINS)
        return cls(start, width, flat.reshape(n_items, BINS).astype(np.float32))

    def at(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, BINS]: the weights of the bins at moments int64 [n], microseconds. A moment after the last bin is
        taken as the end of it."""
        # in units of bins, from the centre of the first: the centre of bin b is at b
        place = np.clip((moments - self.start) / self.width, 0, BINS) - 0.5
        distance = np.abs(place[:, None] - np.arange(BINS))
        return np.exp(-distance / (MEMORY * BINS)).astype(np.float32)
