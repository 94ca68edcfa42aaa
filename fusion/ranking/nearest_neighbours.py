"""Rows that are alike, by the blocks of columns that both have: never more than a block of all pairs is held."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.ranking.top_k import top_k

SHRINK = 1.0
CELLS = 4_000_000
"""How many scores may be held at once."""

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
    """The `k` rows most like each query.

    The score of a pair is the sum of the cosines of the blocks that both have, over their number plus `shrink`: a mean
    drawn towards 0 as if `shrink` more blocks had agreed on nothing (the support shrinkage of Bell and Koren 2007, eq.
    7). With `SHRINK`, one shared block with cosine .9 gives .45, less than three with .7 each (.525). A row has a block
    whose columns are not all 0.

    Args:
        queries: float32 [Q, d_b] a block, dense or CSR.
        rows: float32 [N, d_b] a block, of the same kinds.
        own: int [Q], the row that is the query itself, which is not its neighbour; -1 where there is none.
        among: bool [N], the rows that may be neighbours; None for all.

    Returns:
        indices: int64 [Q, min(k, N)], -1 where nothing shares a block with the query.
        scores: float32 of the same shape, -inf at the paddings. Ties go to the lower row.
    """
    n = rows[0].shape[0]
    left, right = [_of_length_one(x) for x in queries], [_of_length_one(x) for x in rows]
    asked, there = [_has(x) for x in left], [_has(x) for x in right]
    barred = np.zeros(n, np.bool_) if among is None else ~among
    size = max(1, CELLS // max(1, n))
    parts = []
    for start in range(0, len(own), size):
        here = slice(start, start + size)
        shared = sum(np.outer(mine[here], theirs) for mine, theirs in zip(asked, there, strict=True))
        total = sum(_dense(x[here] @ y.T) for x, y in zip(left, right, strict=True))
        scores = np.where(shared > 0, total / np.maximum(shared + shrink, 1e-9), -np.inf).astype(np.float32)
        scores[:, barred] = -np.inf
        itself = np.flatnonzero(own[here] >= 0)
        scores[itself, own[here][itself]] = -np.inf
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
    """CSR float32 [Q, N]: the scores of `nearest_rows` that are above 0."""
    shape = (len(own), rows[0].shape[0])
    if not shape[1]:
        return sp.csr_matrix(shape, dtype=np.float32)
    found, score = nearest_rows(queries, rows, k=k, own=own, among=among, shrink=shrink)
    row, place = np.nonzero((found >= 0) & (score > 0))
    return sp.csr_matrix((score[row, place], (row, found[row, place])), shape=shape)


def _of_length_one(vectors: Any) -> Any:
    """In float64: the last bits of a product depend on which rows are multiplied together, so they must be rounded
    away."""
    vectors = vectors.astype(np.float64)
    if sp.issparse(vectors):
        length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        return (sp.diags(1 / np.where(length > 0, length, 1)) @ vectors).tocsr()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _has(units: Any) -> NDArray[np.float32]:
    """float32 [n]: 1 for a row that is not all 0, else 0."""
    found = np.diff(units.indptr) > 0 if sp.issparse(units) else (units != 0).any(axis=1)
    return np.asarray(found, np.float32)


def _dense(product: Any) -> NDArray[np.float64]:
    return product.toarray() if sp.issparse(product) else product


def similar(
    queries: NDArray[np.integer],
    matrix: NDArray[np.float32],
    *,
    masks: Mapping[str, NDArray[np.bool_]],
    blocks: Mapping[str, slice],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` nearest other rows of each query row, as `fusion.ranking.nearest_neighbours.nearest_rows` gives them with
    `SHRINK`.

    Args:
        queries: int [B], rows of the matrix.
        matrix: float32 [N, D].
        masks: block → bool [N], whether the row has that block; an all-zero block counts as missing too.
        blocks: block → its columns.
        k: how many neighbours.
    """
    rows = [np.where(masks[name][:, None], matrix[:, columns], np.float32(0)) for name, columns in blocks.items()]
    return nearest_rows([part[queries] for part in rows], rows, k=k, own=queries, shrink=SHRINK)
