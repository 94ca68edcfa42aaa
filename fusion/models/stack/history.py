"""Scorers learnt from likes alone: linear autoencoder, item transitions, matrix factorisation, popularity, trend."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.data.history_features import recency_matrix
from fusion.data.matrix_factors import item_factors, principal_axes, user_factors
from fusion.models.base import block_slices
from fusion.models.ridge import covariance, with_unit_variance
from fusion.models.stack.item_transitions import ItemTransitions
from fusion.models.stack.scores import Part, with_mean_user

RANK = 256
"""Most principal axes of the likes that are used."""
AUTOENCODER_RIDGE, TRANSITION_RIDGE = 200.0, 400.0
AUTOENCODERS: Mapping[str, float | None] = {"autoencoder": None, "autoencoder_30": 30.0, "autoencoder_10": 10.0}
"""Scorer → the number of likes after which a like weighs 1/e in a user's past; None where all weigh the same."""
TRANSITIONS = {"transitions_10": (10.0, 3.0), "transitions_5": (5.0, 2.0)}
"""Scorer → that number, and the one after which a like weighs 1/e in what follows."""
FACTORS = {"factors": (30.0, 5.0), "factors_light": (10.0, 2.0), "factors_strong": (60.0, 20.0)}
"""Scorer → ridge and alpha (`fusion.data.matrix_factors`)."""
OF_EVERYBODY = ("popularity", "trend")
"""The scorers that say of an item what it is to everybody; their columns are the last ones."""
SCORERS = (*AUTOENCODERS, *TRANSITIONS, *FACTORS, *OF_EVERYBODY)
N_FACTORS = 64
MAX_LEVERAGE = 0.999
"""Of an item, so that one which the others do not predict is not divided by 0."""

BINS = 64
MEMORY = 1 / 8
"""Distance in time at which a like weighs 1/e, as a share of the history's span."""


@dataclass(frozen=True)
class HistoryScorers:
    """Columns of items and, for each scorer, users over some of them. K is the number of items with a like.

    For a user's row x [K] of likes a score is the dot product of

    | scorers | an item's columns | and a user's |
    | --- | --- | --- |
    | `autoencoder`, `autoencoder_30`, `autoencoder_10` | V_i / (1 - h_i) | x V D, of all likes or mostly recent ones |
    | `transitions_10`, `transitions_5` | (`fusion.models.stack.item_transitions`) | x V, of mostly recent likes |
    | `factors`, `factors_light`, `factors_strong` | (`fusion.data.matrix_factors`) | factors solved from x |
    | `popularity` | ln(1 + likes) | 1 |
    | `trend` | likes by bins of time | weights of the bins around the last like |

    V [K, r] are the principal axes of the likes with singular values s, D = diag(s² / (s² + ridge)), h_i = V_i D V_iᵀ.
    With as many axes as there are directions, x V D · V_i / (1 - h_i) is, for an item outside x, exactly the score of
    the autoencoder with zero diagonal (Steck 2019, eq. 8): there (G + ridge I)⁻¹ has the diagonal (1 - h_i) / ridge and
    off it -(V D Vᵀ) / ridge.

    A user without a like is the mean of all likes, with the trend at the newest like.

    Attributes:
        items: float32 [K, d], the columns, in the order of the table.
        spread: float64 [d, d], covariance of the columns over the catalog fitted on, 0 for items without a like.
        axes: float32 [K, r], V.
        shrinkage: float32 [r], the diagonal of D.
        count: float32 [K], likes.
        clock: float64 [3], start and width of the bins of time (`TimeBins`), and the time
            of the newest like, all in microseconds.
    """

    items: NDArray[np.float32]
    spread: NDArray[np.float64]
    axes: NDArray[np.float32]
    shrinkage: NDArray[np.float32]
    count: NDArray[np.float32]
    clock: NDArray[np.float64]

    @classmethod
    def fit(cls, likes: History, matrix: sp.csr_matrix, *, seed: int) -> Self:
        """
        Args:
            likes: with the items' positions in the catalog.
            matrix: CSR float32 [U, N], the same likes.
            seed: of the principal axes, the moments of transitions and the factors.
        """
        n_items = matrix.shape[1]
        count = np.asarray(matrix.sum(axis=0)).ravel()
        known = count > 0
        axes, values = principal_axes(matrix, rank=RANK, seed=seed)
        shrinkage = values**2 / (values**2 + AUTOENCODER_RIDGE)
        leverage = np.minimum((axes**2) @ shrinkage, MAX_LEVERAGE)
        bins = TimeBins.over(likes)
        place = _columns(axes.shape[1])
        items = np.zeros((n_items, place["trend"].stop), np.float32)
        items[:, place["autoencoder"]] = axes / (1 - leverage)[:, None]
        for name, (decay, horizon) in TRANSITIONS.items():
            transitions = ItemTransitions(likes, axes, decay=decay, horizon=horizon, seed=seed)
            items[:, place[name]] = transitions.solve(TRANSITION_RIDGE)
        for name, (ridge, alpha) in FACTORS.items():
            items[:, place[name]] = item_factors(matrix, factors=N_FACTORS, ridge=ridge, alpha=alpha, seed=seed)
        items[:, place["popularity"]] = np.log1p(count)[:, None]
        items[:, place["trend"]] = bins.counts(likes, n_items=n_items)
        items[~known] = 0
        clock = (bins.start, bins.width, likes.timestamp.max() if len(likes) else 0)
        return cls(
            items[known],
            covariance(items),
            axes[known].astype(np.float32),
            shrinkage.astype(np.float32),
            count[known].astype(np.float32),
            np.array(clock, np.float64),
        )

    @property
    def rank(self) -> int:
        """Number of principal axes."""
        return len(self.shrinkage)

    def width(self, scorer: str) -> int:
        """Number of an item's columns that a scorer uses."""
        columns = _columns(self.rank)[scorer]
        return columns.stop - columns.start

    def columns(self, scorers: Collection[str]) -> NDArray[np.int64]:
        """int64 [d'], ascending: the columns of the items that some scorers use, and those of the autoencoders, by
        which items are compared."""
        place = _columns(self.rank)
        names = ["autoencoder", *(name for name in place if name in scorers and name != "autoencoder")]
        return np.concatenate([np.arange(place[name].start, place[name].stop) for name in names])

    def parts(
        self, likes: History, users: NDArray[np.integer], *, scorers: Collection[str] = SCORERS
    ) -> Iterator[Part]:
        """The parts of some scorers for some users; those of others cost nothing.

        Args:
            likes: of known items, by their place among them.
            users: int [B], positions in `user_ids`.
        """
        if not len(self.items):
            return
        place = _columns(self.rank)

        @cache
        def past(decay: float | None) -> NDArray[np.float32]:
            """float32 [B, r], x V."""
            return rows(decay) @ self.axes

        @cache
        def rows(decay: float | None) -> sp.csr_matrix:
            """CSR float32 [B, K], x."""
            return with_mean_user(recency_matrix(likes, len(self.items), decay=decay)[users], self.count)

        for name in (name for name in SCORERS if name in scorers):
            columns = place["autoencoder" if name in AUTOENCODERS else name]
            if name in AUTOENCODERS:
                vectors = past(AUTOENCODERS[name]) * self.shrinkage
            elif name in TRANSITIONS:
                vectors = past(TRANSITIONS[name][0])
            elif name in FACTORS:
                ridge, alpha = FACTORS[name]
                vectors = user_factors(self.items[:, columns], rows(None), ridge=ridge, alpha=alpha)
            elif name == "popularity":
                vectors = np.ones((len(users), 1), np.float32)
            else:
                vectors = self._trend(likes, users)
            yield self._part(name, columns, vectors)

    def _trend(self, likes: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [B, BINS], the weights of the bins around each user's last like, or the newest of all."""
        start, width, newest = self.clock
        last = np.full(len(likes.user_ids), newest)
        in_time = np.argsort(likes.timestamp, kind="stable")
        last[likes.user[in_time]] = likes.timestamp[in_time]  # assigned in order, so that the last one stays
        return TimeBins(int(start), float(width)).weights(last[users].astype(np.int64))

    def _part(self, name: str, columns: slice, users: NDArray[np.float32]) -> Part:
        return Part(name, columns, with_unit_variance(users, self.spread[columns, columns]))

    def state(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def _columns(rank: int) -> dict[str, slice]:
    """Scorer → its columns of an item, given the number of axes; the autoencoders share theirs."""
    widths = {"autoencoder": rank, **dict.fromkeys(TRANSITIONS, rank), **dict.fromkeys(FACTORS, N_FACTORS)}
    return block_slices(widths | {"popularity": 1, "trend": BINS})


@dataclass(frozen=True)
class TimeBins:
    """Popularity by time, as a linear function of where in time a user is: `BINS` bins of equal width over the span of
    a history.

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
