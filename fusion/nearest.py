"""Each row's nearest rows, as a sparse matrix: never more than a block of all pairs is held."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.rank import top_k

CELLS = 4_000_000
"""How many similarities may be held at once."""


def nearest(
    vectors: NDArray[np.float32] | sp.csr_matrix, *, k: int, among: NDArray[np.bool_] | None = None
) -> sp.csr_matrix:
    """CSR float32 [N, N]: the cosines of each row with its `k` most similar other rows, those above 0; ties go to the
    lower row. A row of zeros has no neighbours and is nobody's.

    Args:
        vectors: float32 [N, d], dense or CSR.
        among: bool [N], the rows that may be neighbours; None for all.
    """
    n = vectors.shape[0]
    units: Any = _of_length_one(vectors)
    others = units.T.tocsr() if sp.issparse(units) else units.T
    barred = np.zeros(n, np.bool_) if among is None else ~among
    size = max(1, CELLS // max(1, n))
    parts = []
    for start in range(0, n if k and n > 1 else 0, size):
        product: Any = units[start : start + size] @ others
        cosines = product.toarray() if sp.issparse(product) else product
        cosines[:, barred] = -np.inf
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        found, value = top_k(cosines, k)
        row, place = np.nonzero((found >= 0) & (value > 0))
        parts.append(sp.csr_matrix((value[row, place], (row, found[row, place])), shape=cosines.shape))
    return sp.vstack(parts, format="csr") if parts else sp.csr_matrix((n, n), dtype=np.float32)


def _of_length_one(vectors: Any) -> Any:
    if sp.issparse(vectors):
        length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        scale = sp.diags(1 / np.where(length > 0, length, 1)).astype(np.float32)
        return (scale @ vectors).tocsr().astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
