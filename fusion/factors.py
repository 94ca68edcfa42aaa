"""Item factors from history alone, in closed form: where the learnt history block starts from."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds


def autoencoder_factors(likes: sp.csr_matrix, *, rank: int, ridge: float, seed: int) -> NDArray[np.float32]:
    """float32 [N, r] with r = min(rank, what the data gives): factors P such that `likes @ P @ P.T` rebuilds the likes.

    The ridge-regularised linear autoencoder min ||X - X B||² + ridge ||B||² has B = V diag(s² / (s² + ridge)) Vᵀ with
    X = U diag(s) Vᵀ (Jin et al. 2021, "Towards a Better Understanding of Linear Models for Recommendation", eq. 9);
    kept are its `rank` largest directions, P = V diag(sqrt(s² / (s² + ridge))). An item without a like has a row of 0.

    Args:
        likes: CSR float32 [U, N].
        seed: of the Lanczos start vector.
    """
    limit = min(likes.shape)
    if likes.nnz == 0:
        return np.zeros((likes.shape[1], 0), np.float32)
    if rank >= limit or limit <= 64:
        _, values, right = np.linalg.svd(likes.toarray().astype(np.float64), full_matrices=False)
    else:
        start = np.random.default_rng(seed).normal(size=limit)
        _, values, right = svds(likes.astype(np.float64), k=rank, v0=start, solver="arpack")
    order = np.argsort(-values, kind="stable")[:rank]
    order = order[values[order] > 1e-6 * values.max()]
    axes = right[order].T
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return (axes * np.sqrt(values[order] ** 2 / (values[order] ** 2 + ridge))).astype(np.float32)
