"""What is liked at the time: popularity by when it was, as a dot product."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History

BINS = 64
MEMORY = 1 / 8
"""Share of the history's span after which a like tells 1/e of what it told."""


@dataclass(frozen=True)
class Trend:
    """An item's vector counts its likes by bins of time; a moment's weighs the bins by e^(-|distance| / memory).

    Attributes:
        start: of the first bin, microseconds.
        width: of a bin, microseconds, at least 1.
        counts: float32 [N, BINS].
    """

    start: int
    width: float
    counts: NDArray[np.float32]

    @classmethod
    def fit(cls, likes: History, *, n_items: int) -> Self:
        start = int(likes.timestamp.min()) if len(likes) else 0
        span = int(likes.timestamp.max()) - start + 1 if len(likes) else BINS
        width = max(1.0, span / BINS)
        bins = np.minimum(BINS - 1, (likes.timestamp - start) // width).astype(np.int64)
        flat = np.bincount(likes.item.astype(np.int64) * BINS + bins, minlength=n_items * BINS)
        return cls(start, width, flat.reshape(n_items, BINS).astype(np.float32))

    def at(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, BINS] of moments int64 [n], microseconds; one after the last bin's is as one in it."""
        place = np.clip((moments - self.start) / self.width, 0, BINS) - 0.5
        distance = np.abs(place[:, None] - np.arange(BINS))
        return np.exp(-distance / (MEMORY * BINS)).astype(np.float32)
