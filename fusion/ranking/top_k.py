"""The k best columns of every row of scores, with fixed rules for ties, NaN and excluded columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = -1
"""Index of a rank that no column is left for."""


def top_k(scores: NDArray[np.float32], k: int, *, exclude: Any = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` highest-scoring columns of every row: score descending, then column ascending.

    Args:
        scores: float [B, N], not modified; a column with -inf or NaN is never picked.
        k: columns a row, at least 1; more than N is the same as N.
        exclude: the columns to leave out: bool [B, N], a SciPy CSR matrix [B, N] by its stored entries, or None.

    Returns:
        indices: int64 [B, min(k, N)], `PADDING` where a row has no candidate left; paddings come last.
        scores: float32 [B, min(k, N)], -inf at the paddings.

    Raises:
        ValueError: `k` is below 1, `scores` does not have two axes, or `exclude` has another shape.

    >>> exclude = np.array([[False, True, False, False]])
    >>> indices, scores = top_k(np.array([[0.5, 0.75, 0.75, -np.inf]]), 3, exclude=exclude)
    >>> indices.tolist(), scores.tolist()
    ([[2, 0, -1]], [[0.75, 0.5, -inf]])
    """
    if k < 1 or scores.ndim != 2:
        raise ValueError(f"k {k} and scores of shape {scores.shape}: expected k of at least 1 and shape [B, N]")
    values = _masked(scores, exclude)
    k = min(k, values.shape[1])
    if k == 0:
        return np.zeros((len(values), 0), np.int64), values
    chosen = _candidates(values, k)
    picked = np.take_along_axis(values, chosen, axis=1)
    order = np.lexsort((chosen, -picked), axis=1)  # the last key is the first to sort by
    indices = np.take_along_axis(chosen, order, axis=1)
    best = np.take_along_axis(picked, order, axis=1)
    return np.where(np.isneginf(best), PADDING, indices), best


def _masked(scores: NDArray[np.float32], exclude: Any) -> NDArray[np.float32]:
    """A float32 copy of the scores with -inf at the columns that may not be picked."""
    values = scores.astype(np.float32, copy=True)
    values[np.isnan(values)] = -np.inf
    if exclude is None:
        return values
    if exclude.shape != scores.shape:
        raise ValueError(f"exclude of shape {exclude.shape}: expected the scores' {scores.shape}")
    if isinstance(exclude, np.ndarray):
        values[exclude] = -np.inf
    else:
        rows = np.repeat(np.arange(len(values)), np.diff(exclude.indptr))
        values[rows, exclude.indices] = -np.inf
    return values


def _candidates(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """int64 [B, k]: for every row the columns of its k best, ascending; ties for the last go to the lowest columns."""
    # A partition finds the k-th best value [B, 1] in linear time, but picks any of the columns that tie with it.
    n = values.shape[1]
    last = np.partition(values, n - k, axis=1)[:, n - k, None]
    above = values > last
    tied = values == last
    room = k - above.sum(axis=1, keepdims=True)
    keep = above | (tied & (np.cumsum(tied, axis=1) <= room))
    # Every row keeps exactly k columns, so that the flat list of column indices can be reshaped.
    return np.nonzero(keep)[1].reshape(len(values), k)
