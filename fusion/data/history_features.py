"""Features from the history: user profiles, which are weighted means over liked items, and factors of the likes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.data.matrix_factors import principal_axes

BLOCK = 4096
"""Users whose profiles are held at once."""


def recency_matrix(likes: History, n_items: int, *, decay: float | None) -> sp.csr_matrix:
    """CSR float32 [U, n_items]: each like's weight times e^(-p / decay), p the number of the user's later likes.

    Likes with one timestamp have the same p. With `decay` None, the weight alone.
    """
    weight = likes.weight.astype(np.float32)
    if decay is not None and len(likes):
        order = np.lexsort((likes.timestamp, likes.user))
        user, time = likes.user[order], likes.timestamp[order]
        # Rows of one user and timestamp are neighbours in `order`, and end where either changes.
        ends = np.append((user[1:] != user[:-1]) | (time[1:] != time[:-1]), True)
        last = np.flatnonzero(ends)[np.cumsum(ends) - ends]
        count = np.bincount(user, minlength=len(likes.user_ids))
        # The running total of counts is where a user's rows end in `order`.
        later = np.empty(len(likes), np.int64)
        later[order] = np.cumsum(count)[user] - 1 - last
        weight = weight * np.exp(-later / decay).astype(np.float32)
    return sp.csr_matrix((weight, (likes.user, likes.item)), shape=(len(likes.user_ids), n_items))


def user_profiles(
    weights: sp.csr_matrix, sources: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float32]:
    """float32 [U, sum of widths]: for each source the weighted mean over the user's items that have it, 0 without any.

    Args:
        weights: CSR [U, N].
        sources: float32 [N, d_s] each, zeros where masked out.
        masks: bool [N] each.
    """
    means = []
    for source, mask in zip(sources, masks, strict=True):
        total = weights @ mask.astype(np.float32)
        means.append((weights @ source) / np.where(total > 0, total, 1)[:, None])
    return np.hstack(means).astype(np.float32)


@dataclass(frozen=True)
class Profiles:
    """Makes profiles of users: under each decay, of each source, the weighted mean over the items that the user likes.

    Attributes:
        sources: float32 [N, d_s] each, zeros for an item without.
        masks: bool [N] each, which items have the source.
        decays: of `recency_matrix`.
    """

    sources: Sequence[NDArray[np.float32]]
    masks: Sequence[NDArray[np.bool_]]
    decays: Sequence[float | None]

    def __call__(self, likes: History) -> NDArray[np.float32]:
        """float32 [U, P], P the sum of all d_s times the number of decays; zeros for a user without a like."""
        users = np.arange(len(likes.user_ids))
        return np.vstack([np.zeros((0, self.width), np.float32), *(block for _, block in self.blocks(likes, users))])

    @property
    def width(self) -> int:
        return len(self.decays) * sum(source.shape[1] for source in self.sources)

    def blocks(self, likes: History, users: NDArray[np.integer]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The profiles [n, P] of `users`, `BLOCK` at a time, each with its place among them."""
        weights = [recency_matrix(likes, len(self.sources[0]), decay=decay) for decay in self.decays]
        for start in range(0, len(users), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, np.hstack([user_profiles(w[users[rows]], self.sources, self.masks) for w in weights])


def autoencoder_factors(likes: sp.csr_matrix, *, rank: int, ridge: float, seed: int) -> NDArray[np.float32]:
    """float32 [N, r], r as in `principal_axes`: factors P such that `likes @ P @ P.T` approximates the likes.

    The ridge-regularised linear autoencoder min ||X - X B||² + ridge ||B||² has B = V diag(s² / (s² + ridge)) Vᵀ with
    X = U diag(s) Vᵀ (Jin et al. 2021, "Towards a Better Understanding of Linear Models for Recommendation", eq. 9). Of
    it the `rank` largest directions are kept, P = V diag(sqrt(s² / (s² + ridge))). An item without a like has a row of
    zeros.

    Args:
        likes: CSR float32 [U, N].
        seed: of `principal_axes`.
    """
    axes, values = principal_axes(likes, rank=rank, seed=seed)
    return (axes * np.sqrt(values**2 / (values**2 + ridge))).astype(np.float32)


def scaled_factors(likes: sp.csr_matrix, *, rank: int, ridge: float, seed: int, size: float) -> NDArray[np.float32]:
    """float32 [N, r]: `autoencoder_factors`, scaled so that the entries of liked items have root mean square `size`.

    One learning rate then suits any size of catalog.
    """
    factors = autoencoder_factors(likes, rank=rank, ridge=ridge, seed=seed)
    liked = factors[likes.getnnz(axis=0) > 0]
    found = np.sqrt(np.mean(liked**2)) if liked.size else 1.0
    return (factors * (size / found)).astype(np.float32)
