"""What users like next, told linearly from what they liked last."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History

PAST, FUTURE = 50, 20
"""Likes before and after a moment that play a part in it."""
MAX_MOMENTS = 200_000
MOMENTS_AT_ONCE = 20_000


def moments(likes: History, *, seed: int) -> tuple[History, NDArray[np.int64], NDArray[np.int64]]:
    """The likes in the order (user, timestamp, item), the moments between two likes of a user as the place of the
    later one, int64 [n], and where that user's likes begin, int64 [n]; at most `MAX_MOMENTS`, drawn by the seed."""
    ordered = likes.where(np.lexsort((likes.item, likes.timestamp, likes.user)))
    first = np.searchsorted(ordered.user, ordered.user)
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
    """For blocks of moments the likes before, weighing e^(-p / decay), and those that followed, weighing
    e^(-p / horizon), where p counts the likes between: two CSR float32 [b, n_items] (partial representations of
    sessions and their position-dependent weights, Choe et al. 2021, "Session-aware Linear Item-Item Models", eq. 6-9).

    Args:
        likes, after, first: as `moments` gives them.
    """
    end = np.searchsorted(likes.user, likes.user, side="right")
    for start in range(0, len(after), MOMENTS_AT_ONCE):
        now, begin = after[start : start + MOMENTS_AT_ONCE, None], first[start : start + MOMENTS_AT_ONCE, None]
        back, ahead = np.arange(PAST), np.arange(FUTURE)
        before, following = now - 1 - back, now + ahead
        yield (
            _weighed(likes, before, before >= begin, np.exp(-back / decay), n_items=n_items),
            _weighed(likes, following, following < end[now], np.exp(-ahead / horizon), n_items=n_items),
        )


def _weighed(
    likes: History, places: NDArray[np.int64], inside: NDArray[np.bool_], weight: NDArray[np.float64], *, n_items: int
) -> sp.csr_matrix:
    row, column = np.nonzero(inside)
    place = places[row, column]
    value = (likes.weight[place] * weight[column]).astype(np.float32)
    return sp.csr_matrix((value, (row, likes.item[place])), (len(places), n_items))


class Transitions:
    """Ridge regression from the past to the future of every moment: min ||P V W - F||² + ridge ||W||², where V are the
    principal axes of the likes, so that W is [r, N] whatever the size of the catalog.

    With r as large as there are directions this is the linear item transition model of Choe et al. (2021, eq. 9)
    without its diagonal constraint, which matters for items that a user has had, and those are not recommended.
    """

    def __init__(self, likes: History, axes: NDArray[np.float64], *, decay: float, horizon: float, seed: int) -> None:
        n_items, rank = axes.shape
        self._gram, self._cross = np.zeros((rank, rank)), np.zeros((rank, n_items))
        ordered, after, first = moments(likes, seed=seed)
        for past, future in past_and_future(ordered, after, first, n_items=n_items, decay=decay, horizon=horizon):
            known = past @ axes
            self._gram += known.T @ known
            self._cross += (future.T @ known).T

    def solve(self, ridge: float) -> NDArray[np.float32]:
        """float32 [N, r]: what each item is among what follows."""
        weights = np.linalg.solve(self._gram + ridge * np.eye(len(self._gram)), self._cross)
        return weights.T.astype(np.float32)
