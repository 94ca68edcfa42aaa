"""Item factors from history alone, in closed form: where learnt history blocks start from."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

EXACT = 1500
"""A matrix whose shorter side is at most this is decomposed exactly, a longer one by a randomised method."""


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
