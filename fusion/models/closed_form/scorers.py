"""The three closed-form scorers over one set of items: user vectors of each, with scores of unit variance."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.data.history_features import recency_matrix
from fusion.models.ridge import with_unit_variance

BINS = 64
MEMORY = 1 / 8
"""Distance in time at which a like weighs 1/e, as a share of the history's span."""


RECENT_SHARE = 0.1
"""Weight of the content vector of a user's recent likes beside that of all their likes."""


@dataclass(frozen=True)
class Scorers:
    """The learnt arrays. K is the number of items with a like, r of principal axes, p of content features.

    Attributes:
        item_ids: str [K], ascending.
        axes: float32 [K, r], principal axes; a user's weighted likes times them are the user's past.
        following: float32 [K, r], the items' vectors as what follows (`ItemTransitions.solve`).
        following_spread: float64 [r, r], covariance of `following` over the catalog.
        trend: float32 [K, BINS], the items' likes by bins of time.
        clock: float64 [2], start and width of the bins, microseconds.
        trend_spread: float64 [BINS, BINS], covariance of `trend` over the catalog.
        sources: float32 [K, p]; a user's weighted likes times them are the user's profile.
        kernel: float32 [p, p], profile → weights of the content features.
        content_spread: float64 [p, p], covariance of the features over the catalog.
        crowd: float32 [p], the mean source of all likes.
    """

    item_ids: NDArray[np.str_]
    axes: NDArray[np.float32]
    following: NDArray[np.float32]
    following_spread: NDArray[np.float64]
    trend: NDArray[np.float32]
    clock: NDArray[np.float64]
    trend_spread: NDArray[np.float64]
    sources: NDArray[np.float32]
    kernel: NDArray[np.float32]
    content_spread: NDArray[np.float64]
    crowd: NDArray[np.float32]

    def state(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})

    def transition_users(self, known: History, users: NDArray[np.integer], *, decay: float) -> NDArray[np.float32]:
        """float32 [len(users), r]: the past of each user, to be multiplied with `following`; 0 without a like.

        Args:
            known: likes of known items, by their position in `item_ids`.
            users: positions in `user_ids`.
            decay: likes after which a like weighs 1/e.
        """
        weights = recency_matrix(known, len(self.item_ids), decay=decay)[users]
        return with_unit_variance(weights @ self.axes, self.following_spread)

    def trend_users(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, BINS] of moments int64 [n], microseconds, to be multiplied with `trend`."""
        popularity = RecentPopularity(int(self.clock[0]), float(self.clock[1]), self.trend)
        return with_unit_variance(popularity.at(moments), self.trend_spread)

    def content_users(self, known: History, users: NDArray[np.integer], *, decay: float) -> NDArray[np.float32]:
        """float32 [len(users), p], to be multiplied with the content features; without a like, that of `crowd`.

        Args:
            known, users, decay: as in `transition_users`; recent likes count `RECENT_SHARE`.
        """
        both = []
        for how in (None, decay):
            weights = recency_matrix(known, len(self.item_ids), decay=how)[users]
            profile = np.where(np.diff(weights.indptr)[:, None] > 0, weights @ self.sources, self.crowd)
            both.append(with_unit_variance((profile @ self.kernel).astype(np.float32), self.content_spread))
        overall, recent = both
        return with_unit_variance((1 - RECENT_SHARE) * overall + RECENT_SHARE * recent, self.content_spread)


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
