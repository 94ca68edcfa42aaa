"""Ridge regression of likes on items' features, and scores brought to unit variance without computing them."""

import numpy as np
from numpy.typing import NDArray


def ridge_map(gram: NDArray[np.float64], *, ridge: float) -> NDArray[np.float64]:
    """float64 [p, p], K = (G + ridge I)⁻¹: with G = Φᵀ Φ of items' features Φ, K Φᵀ x are the weights of the ridge
    regression of a user's likes x on the features (Hoerl and Kennard 1970, eq. 2.1), with the same K for every user.

    Args:
        gram: float64 [p, p], G.
    """
    one = np.eye(len(gram))
    return np.linalg.solve(gram + ridge * one, one).astype(np.float64, copy=False)


def covariance(items: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 [D, D], of the rows of float [N, D]."""
    rows = items.astype(np.float64)
    rows -= rows.sum(axis=0) / max(1, len(rows))
    return rows.T @ rows / max(1, len(rows))


def with_unit_variance(users: NDArray[np.floating], covariance: NDArray[np.float64]) -> NDArray[np.float32]:
    """User vectors float32 [n, D]: those given, each divided by the standard deviation of its scores over the catalog.

    The scores u · v of items v with covariance C have the variance uᵀ C u. A user all of whose scores are equal is
    returned unchanged.
    """
    variance = np.einsum("nd,nd->n", users @ covariance, users)
    deviation = np.sqrt(np.maximum(variance, 0))
    return (users / np.where(deviation > 1e-9, deviation, 1)[:, None]).astype(np.float32)
