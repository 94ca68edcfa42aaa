"""What a user is known by: weighted means of what is known about the items they like."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History

EXACT = 1500
"""A matrix whose shorter side is at most this is decomposed exactly, a longer one by a randomised method."""


BLOCK = 4096
"""Users whose profiles are held at once."""


def recency_matrix(likes: History, n_items: int, *, decay: float | None) -> sp.csr_matrix:
    """CSR float32 [U, n_items]: each like's weight, times e^(-p / decay) where p counts the user's later likes.

    With `decay` None, all times count alike.
    """
    weight = likes.weight.astype(np.float32)
    if decay is not None:
        order = np.lexsort((likes.item, likes.timestamp, likes.user))
        count = np.bincount(likes.user, minlength=len(likes.user_ids))
        later = np.empty(len(likes), np.int64)
        later[order] = np.cumsum(count)[likes.user[order]] - 1 - np.arange(len(likes))
        weight = weight * np.exp(-later / decay).astype(np.float32)
    return sp.csr_matrix((weight, (likes.user, likes.item)), shape=(len(likes.user_ids), n_items))


def profiles(
    weights: sp.csr_matrix, sources: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float32]:
    """float32 [U, sum of widths]: per source the weighted mean over the user's items that have it, 0 where none has.

    Args:
        weights: CSR [U, N].
        sources: float32 [N, d_s] each, zero where masked out.
        masks: bool [N] each.
    """
    means = []
    for source, mask in zip(sources, masks, strict=True):
        total = weights @ mask.astype(np.float32)
        means.append((weights @ source) / np.where(total > 0, total, 1)[:, None])
    return np.hstack(means).astype(np.float32)


def joined_profiles(
    likes: History,
    sources: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    decays: Sequence[float | None],
) -> NDArray[np.float32]:
    """float32 [U, P]: `profiles` under each of the decays, side by side."""
    weights = (recency_matrix(likes, len(sources[0]), decay=decay) for decay in decays)
    return np.hstack([profiles(each, sources, masks) for each in weights])


def mapped_profiles(
    likes: History,
    sources: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    decays: Sequence[float | None],
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    users: NDArray[np.integer],
) -> NDArray[np.float32]:
    """float32 [len(users), D]: profiles @ kernel + bias, computed in bounded blocks of users.

    Args:
        sources, masks: as in `profiles`; a profile repeats them for each of `decays`.
        kernel: float32 [P, D].
        bias: float32 [D].
    """
    weights = [recency_matrix(likes, len(sources[0]), decay=decay) for decay in decays]
    vectors = np.empty((len(users), len(bias)), np.float32)
    for start in range(0, len(users), BLOCK):
        rows = users[start : start + BLOCK]
        profile = np.hstack([profiles(w[rows], sources, masks) for w in weights])
        vectors[start : start + BLOCK] = profile @ kernel + bias
    return vectors


class Profiled:
    """Items whose users are linear in their profile: the weights `user` [P, D] and `user_bias` [D], that of a user
    without a like, make a user's vector of it. What has these attributes takes this class in.

    Attributes:
        factors: float32 [N, f], closed-form factors of history, 0 where there are none.
        content: modality → float32 [N, p_m], 0 where missing.
        masks: bool [N, 1 + M], whether history and each modality speak for the item.
        decays: the recency decays under which a profile repeats the factors and the content.
    """

    factors: NDArray[np.float32]
    content: Mapping[str, NDArray[np.float32]]
    masks: NDArray[np.bool_]
    decays: tuple[float | None, ...]

    @property
    def sources(self) -> list[NDArray[np.float32]]:
        """float32 [N, d_s] each: what a profile holds the means of."""
        return [self.factors, *self.content.values()]

    def profiles(self, likes: History) -> dict[str, NDArray[np.float32]]:
        return {"means": joined_profiles(likes, self.sources, list(self.masks.T), decays=self.decays)}

    def user_vectors(
        self, weights: Mapping[str, NDArray[np.float32]], likes: History, *, users: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        return mapped_profiles(
            likes,
            self.sources,
            list(self.masks.T),
            decays=self.decays,
            kernel=weights["user"],
            bias=weights["user_bias"],
            users=users,
        )


def principal_axes(likes: sp.csr_matrix, *, rank: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The right singular vectors of the likes, float64 [N, r], and their singular values [r], largest first.

    r is the least of `rank` and the number of directions that there are. The sign of a vector is such that its largest
    entry by size is positive. Large matrices are decomposed as Halko, Martinsson and Tropp (2011) do.

    Args:
        likes: CSR float32 [U, N].
        seed: of the random test vectors.
    """
    if likes.nnz == 0:
        return np.zeros((likes.shape[1], 0)), np.zeros(0)
    if min(likes.shape) <= EXACT:
        _, values, right = np.linalg.svd(likes.toarray().astype(np.float64), full_matrices=False)
    else:
        from sklearn.utils.extmath import randomized_svd

        _, values, right = randomized_svd(likes.astype(np.float64), rank, n_iter=4, random_state=seed)
    order = np.argsort(-values, kind="stable")[:rank]
    order = order[values[order] > 1e-6 * values.max()]
    axes = right[order].T
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]), values[order]


def autoencoder_factors(likes: sp.csr_matrix, *, rank: int, ridge: float, seed: int) -> NDArray[np.float32]:
    """float32 [N, r] with r = min(rank, what the data gives): factors P such that `likes @ P @ P.T` rebuilds the likes.

    The ridge-regularised linear autoencoder min ||X - X B||² + ridge ||B||² has B = V diag(s² / (s² + ridge)) Vᵀ with
    X = U diag(s) Vᵀ (Jin et al. 2021, "Towards a Better Understanding of Linear Models for Recommendation", eq. 9);
    kept are its `rank` largest directions, P = V diag(sqrt(s² / (s² + ridge))). An item without a like has a row of 0.

    Args:
        likes: CSR float32 [U, N].
        seed: of `principal_axes`.
    """
    axes, values = principal_axes(likes, rank=rank, seed=seed)
    return (axes * np.sqrt(values**2 / (values**2 + ridge))).astype(np.float32)


def scaled_factors(likes: sp.csr_matrix, *, rank: int, ridge: float, seed: int, size: float) -> NDArray[np.float32]:
    """float32 [N, r]: `autoencoder_factors` times what makes the root mean square of the entries of liked items `size`,
    so that one learning rate suits any size of catalog."""
    factors = autoencoder_factors(likes, rank=rank, ridge=ridge, seed=seed)
    liked = factors[likes.getnnz(axis=0) > 0]
    found = np.sqrt(np.mean(liked**2)) if liked.size else 1.0
    return (factors * (size / found)).astype(np.float32)
