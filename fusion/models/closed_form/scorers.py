"""The three closed-form scorers over one set of items: user vectors for each, of unit spread."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.data.history_features import recency_matrix
from fusion.models.closed_form.recent_popularity import Trend
from fusion.models.ridge import of_unit_spread

RECENT_SHARE = 0.1
"""How much the taste of a user's recent likes counts beside that of all of them."""


@dataclass(frozen=True)
class Scorers:
    """What was learnt. K is the number of items with a like, r of principal axes, p of content features.

    Attributes:
        item_ids: str [K], ascending.
        axes: float32 [K, r], what a like tells of what follows.
        following: float32 [K, r], where an item stands among what follows.
        following_spread: float64 [r, r], covariance of `following` over the catalog.
        trend: float32 [K, BINS], the items' likes by bins of time.
        clock: float64 [2], start and width of the bins, microseconds.
        trend_spread: float64 [BINS, BINS].
        sources: float32 [K, p], what a like tells of taste.
        kernel: float32 [p, p], profile of sources → taste.
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
        """The inverse of `state`; other entries are passed over."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})

    def follow(self, known: History, users: NDArray[np.integer], *, decay: float) -> NDArray[np.float32]:
        """float32 [len(users), r]; 0 for who has no like.

        Args:
            known: likes of items by their place in `item_ids`.
        """
        weights = recency_matrix(known, len(self.item_ids), decay=decay)[users]
        return of_unit_spread(weights @ self.axes, self.following_spread)

    def moment(self, moments: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, BINS] of moments int64 [n], microseconds."""
        clock = Trend(int(self.clock[0]), float(self.clock[1]), self.trend)
        return of_unit_spread(clock.at(moments), self.trend_spread)

    def taste(self, known: History, users: NDArray[np.integer], *, decay: float) -> NDArray[np.float32]:
        """float32 [len(users), p]; who has no like has everyone's."""
        both = []
        for how in (None, decay):
            weights = recency_matrix(known, len(self.item_ids), decay=how)[users]
            profile = np.where(np.diff(weights.indptr)[:, None] > 0, weights @ self.sources, self.crowd)
            both.append(of_unit_spread((profile @ self.kernel).astype(np.float32), self.content_spread))
        overall, recent = both
        return of_unit_spread((1 - RECENT_SHARE) * overall + RECENT_SHARE * recent, self.content_spread)
