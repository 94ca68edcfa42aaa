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
class TimeBins:
    """`BINS` bins of equal width over the span of a history.

    popularity(i, t) = sum over bins b of counts_ib e^(-|t - centre of b| / memory) = `weights(t)` · `counts`_i.

    Attributes:
        start: of the first bin, microseconds.
        width: of a bin, microseconds, at least 1.
    """

    start: int
    width: float

    @classmethod
    def over(cls, likes: History) -> Self:
        """The bins over the likes' timestamps."""
        if not len(likes):
            return cls(0, 1.0)
        start = int(likes.timestamp.min())
        return cls(start, max(1.0, (int(likes.timestamp.max()) - start + 1) / BINS))

    def counts(self, likes: History, *, n_items: int) -> NDArray[np.float32]:
        """float32 [n_items, BINS]: each item's likes in each bin, given likes of the span."""
        bins = np.minimum(BINS - 1, (likes.timestamp - self.start) // self.width).astype(np.int64)
        # one count over the flat index item * BINS + bin gives the table [n_items, BINS]
        flat = np.bincount(likes.item.astype(np.int64) * BINS + bins, minlength=n_items * BINS)
        return flat.reshape(n_items, BINS).astype(np.float32)

    def weights(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, BINS]: the weights of the bins at moments int64 [n], microseconds. A moment outside of the bins
        is taken as their nearest end."""
        # in units of bins, from the centre of the first: the centre of bin b is at b
        place = np.clip((moments - self.start) / self.width, 0, BINS) - 0.5
        distance = np.abs(place[:, None] - np.arange(BINS))
        return np.exp(-distance / (MEMORY * BINS)).astype(np.float32)
