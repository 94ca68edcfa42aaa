"""Factors of a matrix: principal axes, and of likes those of weighted alternating least squares.

The latter (Hu, Koren and Volinsky 2008) by the package `implicit`, on one thread for identical fits.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

MAX_EXACT_SIDE = 3000
"""Longest shorter side of a matrix that is decomposed exactly; above it, a randomised method is used."""
ITERATIONS = 15
FEW_ITEMS = 1000


def principal_axes(
    rows: sp.csr_matrix | NDArray[np.float64], *, rank: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The right singular vectors of the rows, float64 [d, r], and their singular values [r], largest first.

    r is the lesser of `rank` and the rank of the matrix, where a direction with less than 1e-6 of the largest value
    counts as none. The sign of a vector is such that its largest entry by size is positive. A matrix with a short side
    is decomposed through the eigenvectors of that side's Gram matrix; others by the randomised method of Halko,
    Martinsson and Tropp (2011).

    Args:
        rows: CSR or float64 [n, d].
        seed: of the random test vectors.
    """
    matrix = rows.astype(np.float64)
    if not abs(matrix).sum():
        return np.zeros((matrix.shape[1], 0)), np.zeros(0)
    if min(matrix.shape) <= MAX_EXACT_SIDE:
        axes, values = _through_gram(matrix, rank=rank)
    else:
        from sklearn.utils.extmath import randomized_svd

        _, values, right = randomized_svd(matrix, rank, n_iter=4, random_state=seed)
        axes = right.T
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 1e-6 * values.max()]
    axes, values = axes[:, order], values[order]
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(values))]), values


def _through_gram(
    matrix: sp.csr_matrix | NDArray[np.float64], *, rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right singular vectors float64 [d, r] and singular values [r] of float64 [n, d]: with X Xᵀ = Q S² Qᵀ the vectors
    are Xᵀ Q / S, and with Xᵀ X = V S² Vᵀ they are V."""
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    side = gram.shape[0]
    dense = gram if isinstance(gram, np.ndarray) else gram.toarray()
    squares, vectors = scipy.linalg.eigh(dense, subset_by_index=(max(0, side - rank), side - 1))
    values = np.sqrt(np.maximum(squares, 0))
    if not wide:
        return vectors, values
    kept = values > 1e-6 * values.max()
    return (matrix.T @ vectors[:, kept]) / values[kept], values[kept]


def item_factors(likes: sp.csr_matrix, *, factors: int, ridge: float, alpha: float, seed: int) -> NDArray[np.float32]:
    """float32 [N, factors] of a factorisation in which a like has the confidence 1 + alpha; zeros without a like.

    Args:
        likes: CSR float32 [U, N].
    """
    if not likes.nnz:
        return np.zeros((likes.shape[1], factors), np.float32)
    with one_thread():
        model = _model(factors, ridge=ridge, alpha=alpha, seed=seed)
        model.fit(likes, show_progress=False)
    return np.asarray(model.item_factors, np.float32)


def user_factors(
    items: NDArray[np.float32], likes: sp.csr_matrix, *, ridge: float, alpha: float
) -> NDArray[np.float32]:
    """float32 [B, factors], solved from likes, given the factors of the items.

    Args:
        items: float32 [N, factors], as `item_factors` made them with this ridge and alpha.
        likes: CSR float32 [B, N].
    """
    with one_thread():
        model = _model(items.shape[1], ridge=ridge, alpha=alpha, seed=0)
        model.item_factors = np.ascontiguousarray(items, np.float32)
        return np.asarray(model.recalculate_user(np.arange(likes.shape[0]), likes), np.float32)


def _model(factors: int, *, ridge: float, alpha: float, seed: int) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=factors,
        regularization=ridge,
        alpha=alpha,
        iterations=ITERATIONS,
        num_threads=1,
        random_state=seed,
    )


def threads_for(n_items: int) -> AbstractContextManager[None]:
    """BLAS on one thread for a catalog of less than `FEW_ITEMS`, else on as many as the process has.

    Threads that wait for one another cost such small matrices more than they gain: a third of the time on two idle
    cores, ten times the time on two busy ones.
    """
    return one_thread() if n_items < FEW_ITEMS else nullcontext()


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS on one thread: sums are then added in one order, and `implicit` warns about more."""
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> "ThreadpoolController":
    """The libraries with threads that this process has loaded; to look for them takes longer than many a fit."""
    import implicit.cpu.als  # noqa: F401 - it brings the last of them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
