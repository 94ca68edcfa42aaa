"""Measures of how well one modality predicts another, for held-out items."""

import numpy as np
from numpy.typing import NDArray

from fusion.ranking.top_k import top_k

CELLS = 4_000_000
"""Most scores that are held at once."""


def retrieval_recall(queries: NDArray[np.float32], targets: NDArray[np.float32], k: int) -> float:
    """recall@k of cross-modal retrieval (as in Radford et al. 2021, arXiv:2103.00020): the share of rows of `queries`
    whose own row of `targets` is among the k whose dot products with the query are highest; ties go to the lower row.
    A random guess gives k / N. NaN without rows.

    Args:
        queries, targets: float32 [N, d]; with rows of length 1, the dot products are cosines.

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


def r_squared(predicted: NDArray[np.float32], observed: NDArray[np.float32]) -> float:
    """1 - sum (observed - predicted)² / sum (observed - column's mean)² over all entries, float32 [n, p] each: columns
    count by their variance. Predicting the columns' means gives 0; NaN where the observed rows do not vary."""
    around = ((observed - observed.mean(axis=0)) ** 2).sum() if len(observed) else 0.0
    return float(1 - ((observed - predicted) ** 2).sum() / around) if around > 0 else float("nan")
