"""Exact nearest neighbours by mean cosine over blocks of columns, in batches of queries so that memory is bounded."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.ranking.top_k import top_k

SHRINK = 1.0
"""The `shrink` of `similar_items`, and of the item graph."""
CELLS = 4_000_000
"""Most scores that are held at once."""

Rows: TypeAlias = NDArray[np.float32] | sp.csr_matrix


def nearest_rows(
    queries: Sequence[Rows],
    rows: Sequence[Rows],
    *,
    k: int,
    own: NDArray[np.integer],
    among: NDArray[np.bool_] | None = None,
    shrink: float = 0.0,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` rows most similar to each query.

    The score of a pair is the sum of the cosines of the blocks that both have, over their number plus `shrink`: a mean
    shrunk towards 0 as if `shrink` more blocks had a cosine of 0 (the support shrinkage of Bell and Koren 2007, eq. 7).
    With `SHRINK`, one shared block with cosine .9 gives .45, less than three with .7 each (.525). A row has a block if
    any of its columns is not 0.

    Args:
        queries: one matrix a block, float32 [Q, d_b], dense or CSR.
        rows: one matrix a block, float32 [N, d_b], of the same kinds.
        own: int [Q], the row that is the query itself, which is not its neighbour; -1 where there is none.
        among: bool [N], the rows that may be neighbours; None for all.

    Returns:
        indices: int64 [Q, min(k, N)], -1 where no further row shares a block with the query.
        scores: float32 of the same shape, -inf at the paddings. Ties go to the lower row.
    """
    n = rows[0].shape[0]
    # In float64: the last bits of a product depend on which rows are multiplied together; rounding to float32 removes
    # them, so that a query's scores do not depend on its batch.
    left, right = ([unit_rows(x.astype(np.float64)) for x in blocks] for blocks in (queries, rows))
    query_has, row_has = [_has_block(x) for x in left], [_has_block(x) for x in right]
    barred = np.zeros(n, np.bool_) if among is None else ~among
    size = max(1, CELLS // max(1, n))
    parts = []
    for start in range(0, len(own), size):
        here = slice(start, start + size)
        # [b, N] each, for a batch of b queries: the number of blocks that a pair shares, and the sum of their cosines.
        # A block that one of the two lacks adds 0 to both.
        shared = sum(np.outer(query[here], row) for query, row in zip(query_has, row_has, strict=True))
        total = sum(_dense(x[here] @ y.T) for x, y in zip(left, right, strict=True))
        scores = np.where(shared > 0, total / np.maximum(shared + shrink, 1e-9), -np.inf).astype(np.float32)
        scores[:, barred] = -np.inf
        is_row = np.flatnonzero(own[here] >= 0)
        scores[is_row, own[here][is_row]] = -np.inf
        parts.append(top_k(scores, k))
    if not parts:
        return np.zeros((0, min(k, n)), np.int64), np.zeros((0, min(k, n)), np.float32)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def nearest(
    queries: Sequence[Rows],
    rows: Sequence[Rows],
    *,
    k: int,
    own: NDArray[np.integer],
    among: NDArray[np.bool_] | None = None,
    shrink: float = 0.0,
) -> sp.csr_matrix:
    """CSR float32 [Q, N]: the scores of `nearest_rows` that are above 0; arguments as there."""
    shape = (len(own), rows[0].shape[0])
    if not shape[1]:
        return sp.csr_matrix(shape, dtype=np.float32)
    found, score = nearest_rows(queries, rows, k=k, own=own, among=among, shrink=shrink)
    query, rank = np.nonzero((found >= 0) & (score > 0))
    return sp.csr_matrix((score[query, rank], (query, found[query, rank])), shape=shape)


def unit_rows(vectors: Any) -> Any:
    """The rows, dense or CSR, divided by their Euclidean length, in the dtype given; a row of zeros stays."""
    if sp.issparse(vectors):
        length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        return (sp.diags(1 / np.where(length > 0, length, 1)) @ vectors).tocsr()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _has_block(vectors: Any) -> NDArray[np.float32]:
    """float32 [n]: 1 for a row that is not all 0, else 0."""
    found = np.diff(vectors.indptr) > 0 if sp.issparse(vectors) else (vectors != 0).any(axis=1)
    return np.asarray(found, np.float32)


def _dense(product: Any) -> NDArray[np.float64]:
    return product.toarray() if sp.issparse(product) else product


def similar_items(
    queries: NDArray[np.integer],
    matrix: NDArray[np.float32],
    *,
    masks: Mapping[str, NDArray[np.bool_]],
    blocks: Mapping[str, slice],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` other rows most similar to each query row, as `nearest_rows` returns them with `SHRINK`.

    Args:
        queries: int [B], rows of the matrix.
        matrix: float32 [N, D].
        masks: block → bool [N], whether the row has that block; an all-zero block counts as missing too.
        blocks: block → its columns.

    >>> vectors = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 5, 0, 0], [2, 0, 0, 0]], np.float32)
    >>> masks, blocks = {"text": np.ones(4, bool)}, {"text": slice(0, 4)}
    >>> indices, scores = similar_items(np.array([0]), vectors, masks=masks, blocks=blocks, k=2)
    >>> indices.tolist(), scores.tolist()  # the cosines 1 and 1/2 of one block, over 1 + 1
    ([[3, 1]], [[0.5, 0.25]])
    """
    rows = [np.where(masks[name][:, None], matrix[:, columns], np.float32(0)) for name, columns in blocks.items()]
    return nearest_rows([part[queries] for part in rows], rows, k=k, own=queries, shrink=SHRINK)
