"""Scores of one user made comparable between scorers, without computing them."""

import numpy as np
from numpy.typing import NDArray


def covariance(items: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 [D, D], of the rows of float32 [N, D]."""
    rows = items.astype(np.float64)
    rows -= rows.sum(axis=0) / max(1, len(rows))
    return rows.T @ rows / max(1, len(rows))


def of_unit_spread(users: NDArray[np.float32], covariance: NDArray[np.float64]) -> NDArray[np.float32]:
    """User vectors float32 [n, D], each divided by the standard deviation of its scores over the catalog.

    The scores u · v of items v with covariance C have the variance uᵀ C u. A user all of whose scores are equal stays.
    """
    variance = np.einsum("nd,nd->n", users @ covariance, users)
    spread = np.sqrt(np.maximum(variance, 0))
    return (users / np.where(spread > 1e-9, spread, 1)[:, None]).astype(np.float32)
