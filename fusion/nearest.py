"""Each row's nearest rows, as a sparse matrix: never more than a block of all pairs is held."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.rank import top_k

CELLS = 4_000_000
"""How many similarities may be held at once."""


def nearest(
    queries: NDArray[np.float32] | sp.csr_matrix,
    rows: NDArray[np.float32] | sp.csr_matrix,
    *,
    k: int,
    own: NDArray[np.integer],
    among: NDArray[np.bool_] | None = None,
) -> sp.csr_matrix:
    """CSR float32 [Q, N]: the cosines of each query with the `k` rows most similar to it, those above 0; ties go to the
    lower row. A query of zeros has no neighbours, and a row of zeros is nobody's.

    Args:
        queries: float32 [Q, d], dense or CSR.
        rows: float32 [N, d], of the same kind.
        own: int [Q], the row that is the query itself, which is not its neighbour; -1 where there is none.
        among: bool [N], the rows that may be neighbours; None for all.
    """
    n = rows.shape[0]
    left, right = _of_length_one(queries), _of_length_one(rows).T
    barred = np.zeros(n, np.bool_) if among is None else ~among
    size = max(1, CELLS // max(1, n))
    parts = []
    for start in range(0, queries.shape[0] if n else 0, size):
        product: Any = left[start : start + size] @ right
        cosines = product.toarray() if sp.issparse(product) else product
        cosines[:, barred] = -np.inf
        itself = np.flatnonzero(own[start : start + size] >= 0)
        cosines[itself, own[start + itself]] = -np.inf
        found, value = top_k(cosines, k)
        row, place = np.nonzero((found >= 0) & (value > 0))
        parts.append(sp.csr_matrix((value[row, place], (row, found[row, place])), shape=cosines.shape))
    return sp.vstack(parts, format="csr") if parts else sp.csr_matrix((queries.shape[0], n), dtype=np.float32)


def _of_length_one(vectors: Any) -> Any:
    if sp.issparse(vectors):
        length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        scale = sp.diags(1 / np.where(length > 0, length, 1)).astype(np.float32)
        return (scale @ vectors).tocsr().astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
