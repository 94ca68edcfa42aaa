"""Matrix factorisation of the likes by weighted alternating least squares (Hu, Koren and Volinsky 2008).

By the package `implicit`, on one thread for identical fits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

ITERATIONS = 15


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


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS on one thread: sums are then added in one order, and `implicit` warns about more."""
    import implicit.cpu.als  # noqa: F401 - the limit holds for the libraries that are loaded by then
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
