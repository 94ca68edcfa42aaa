"""How well one modality tells another, on items that nothing was learnt from."""

import numpy as np
from numpy.typing import NDArray

from fusion.ranking.top_k import top_k

CELLS = 4_000_000
"""How many scores may be held at once."""


def retrieval_recall(queries: NDArray[np.float32], targets: NDArray[np.float32], k: int) -> float:
    """recall@k of cross-modal retrieval (as in Radford et al. 2021, arXiv:2103.00020): the share of rows of `queries`
    whose own row of `targets` is among the k whose dot products with the query are highest; ties go to the lower row.
    Guessing gives k / N. NaN where there is no row.

    Args:
        queries, targets: float32 [N, d]; make rows of length 1 of them for cosines.

    Raises:
        ValueError: the shapes differ.
    """
    if queries.shape != targets.shape:
        raise ValueError(f"queries {queries.shape} and targets {targets.shape}: expected one target a query")
    size = max(1, CELLS // max(1, len(targets)))
    found = 0
    for start in range(0, len(queries), size):
        best, _ = top_k(queries[start : start + size] @ targets.T, k)
        found += int((best == np.arange(start, start + len(best))[:, None]).any(axis=1).sum())
    return found / len(queries) if len(queries) else float("nan")


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of length 1; a row of 0 stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def r_squared(predicted: NDArray[np.float32], observed: NDArray[np.float32]) -> float:
    """1 - sum (observed - predicted)² / sum (observed - column's mean)² over all entries, float32 [n, p] each: columns
    count by their variance. 0 is what the mean of these very rows reaches; NaN where they do not vary."""
    around = ((observed - observed.mean(axis=0)) ** 2).sum() if len(observed) else 0.0
    return float(1 - ((observed - predicted) ** 2).sum() / around) if around > 0 else float("nan")
