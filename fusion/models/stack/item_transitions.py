"""Linear prediction of a user's next likes from their last ones."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, tie_hashes

PAST, FUTURE = 50, 20
"""Maximum number of likes before and after a moment that belong to it."""
MAX_MOMENTS = 200_000
MOMENTS_AT_ONCE = 20_000


class ItemTransitions:
    """Ridge regression from the past to the future of every moment: min ||P V W - F||² + ridge ||W||², where V [N, r]
    are the principal axes of the likes, so that W is [r, N] whatever the size of the catalog.

    With r as large as the number of directions this is the linear item transition model of Choe et al. (2021, eq. 9)
    without its diagonal constraint, which matters for items that a user has had, and those are not recommended.

    Args:
        axes: float64 [N, r], V.
        decay, horizon: see `past_and_future`.
        seed: see `moments`.
    """

    def __init__(self, likes: History, axes: NDArray[np.float64], *, decay: float, horizon: float, seed: int) -> None:
        n_items, rank = axes.shape
        self._gram, self._cross = np.zeros((rank, rank)), np.zeros((rank, n_items))
        ordered, after, first = moments(likes, seed=seed)
        for past, future in past_and_future(ordered, after, first, n_items=n_items, decay=decay, horizon=horizon):
            projected = past @ axes  # P V [b, r]
            self._gram += projected.T @ projected
            # (P V)ᵀ F, as (Fᵀ P V)ᵀ since F is sparse
            self._cross += (future.T @ projected).T

    def solve(self, ridge: float) -> NDArray[np.float32]:
        """float32 [N, r], Wᵀ: an item's score as what follows is the dot product of its row and a past P V."""
        weights = np.linalg.solve(self._gram + ridge * np.eye(len(self._gram)), self._cross)
        return weights.T.astype(np.float32)


def moments(likes: History, *, seed: int) -> tuple[History, NDArray[np.int64], NDArray[np.int64]]:
    """The moments between two likes of one user, at most `MAX_MOMENTS`, drawn by the seed.

    Returns:
        The likes in the order (user, timestamp), those of one time in the order of a hash; for each moment the row of
        the like after it, int64 [n], and the row of its user's first like, int64 [n].
    """
    ordered = likes.where(np.lexsort((tie_hashes(likes), likes.timestamp, likes.user)))
    first = np.searchsorted(ordered.user, ordered.user)  # of each like, the row of its user's first
    after = np.nonzero(np.arange(len(ordered)) > first)[0]
    if len(after) > MAX_MOMENTS:
        after = np.sort(np.random.default_rng(seed).choice(after, MAX_MOMENTS, replace=False))
    return ordered, after, first[after]


def past_and_future(
    likes: History,
    after: NDArray[np.int64],
    first: NDArray[np.int64],
    *,
    n_items: int,
    decay: float,
    horizon: float,
) -> Iterator[tuple[sp.csr_matrix, sp.csr_matrix]]:
    """For blocks of moments the likes before, weighted by e^(-p / decay), and those that followed, weighted by
    e^(-p / horizon), where p counts the likes between: two CSR float32 [b, n_items] (partial representations of
    sessions and their position-dependent weights, Choe et al. 2021, "Session-aware Linear Item-Item Models", eq. 6-9).

    Args:
        likes, after, first: as `moments` returns them.
    """
    end = np.searchsorted(likes.user, likes.user, side="right")  # of each like, the row after its user's last
    for start in range(0, len(after), MOMENTS_AT_ONCE):
        now, begin = after[start : start + MOMENTS_AT_ONCE, None], first[start : start + MOMENTS_AT_ONCE, None]
        back, ahead = np.arange(PAST), np.arange(FUTURE)
        # rows of likes, [b, PAST] and [b, FUTURE], nearest first; they may run past the user's first or last like
        before, following = now - 1 - back, now + ahead
        yield (
            _weighted(likes, before, before >= begin, np.exp(-back / decay), n_items=n_items),
            _weighted(likes, following, following < end[now], np.exp(-ahead / horizon), n_items=n_items),
        )


def _weighted(
    likes: History, rows: NDArray[np.int64], inside: NDArray[np.bool_], weight: NDArray[np.float64], *, n_items: int
) -> sp.csr_matrix:
    """CSR float32 [b, n_items]: moment i has the likes at `rows[i]`, [b, p], where `inside`, [b, p], times the weight
    of their distance, [p]."""
    moment, distance = np.nonzero(inside)
    like = rows[moment, distance]
    value = (likes.weight[like] * weight[distance]).astype(np.float32)
    return sp.csr_matrix((value, (moment, likes.item[like])), (len(rows), n_items))
