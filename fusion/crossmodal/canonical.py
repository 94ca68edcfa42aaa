"""Alignment in closed form: canonical correlation analysis."""

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.alignment import Alignment
from fusion.crossmodal.projected_items import ProjectedItems, training_rows
from fusion.ranking.nearest_neighbours import unit_rows


class Canonical(Alignment):
    """Canonical correlation analysis (Hotelling 1936) with a ridge (Vinod 1976), one for every two modalities.

    With covariances C of the items that have both, K = (C_xx + r I)^-1/2 C_xy (C_yy + r I)^-1/2 = U diag(ρ) Vᵀ. The
    canonical variables (C_xx + r I)^-1/2 U and (C_yy + r I)^-1/2 V are each scaled by sqrt ρ, so that directions of low
    correlation count little. That is the mean of the common cause of both, given one of them, in the probabilistic
    model of CCA (Bach and Jordan 2005, theorem 2, with M = diag(ρ)^1/2).

    Args:
        dims: most columns of the common space.
        ridge: r, above 0; the columns of a modality have variance 1 on average.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, dims: int = 32, ridge: float = 3.0) -> None:
        if dims < 1 or not ridge > 0:
            raise ValueError(f"dims {dims} and ridge {ridge}: expected at least 1, and more than 0")
        self.dims, self.ridge = dims, ridge

    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        """`seed` is not used."""
        self._maps: dict[str, NDArray[np.float32]] = {}
        for first, second in items.pairs:
            rows = training_rows(items.both(first, second))
            x, y = (items.x[m][rows].astype(np.float64) for m in (first, second))
            found = canonical(x, y, dims=self.dims, ridge=self.ridge)
            names = ("first", "second", "first_mean", "second_mean", "correlations")
            arrays = (array.astype(np.float32) for array in found)
            self._maps |= {f"{first}+{second}/{name}": array for name, array in zip(names, arrays, strict=True)}

    def correlations(self, first: str, second: str) -> NDArray[np.float32]:
        """float32 [d], descending: the canonical correlations, shrunk by the ridge."""
        return self._maps[f"{first}+{second}/correlations"]

    def embed(self, items: ProjectedItems, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if f"{first}+{second}/first" not in self._maps:  # fitted in the other order
            other, one = self._embed(items, second, first)
            return one, other
        return self._embed(items, first, second)

    def _embed(self, items: ProjectedItems, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `embed`, in the order in which the two were fitted."""
        one, other = (
            unit_rows(
                (items.x[m] - self._maps[f"{first}+{second}/{side}_mean"]) @ self._maps[f"{first}+{second}/{side}"]
            )
            * items.masks[m][:, None]
            for side, m in (("first", first), ("second", second))
        )
        return one, other


def canonical(
    x: NDArray[np.float64], y: NDArray[np.float64], *, dims: int, ridge: float
) -> tuple[NDArray[np.float64], ...]:
    """The maps [p, d] and [q, d] of rows x [n, p] and y [n, q], their means [p] and [q], and the correlations [d].

    d is the least of `dims`, p and q, and 0 with fewer than two rows. The sign of a pair of columns is such that the
    largest entry by size of the first is positive.
    """
    if len(x) < 2:
        nothing = np.zeros((x.shape[1], 0)), np.zeros((y.shape[1], 0))
        return *nothing, np.zeros(x.shape[1]), np.zeros(y.shape[1]), np.zeros(0)
    means = x.mean(axis=0), y.mean(axis=0)
    x, y = x - means[0], y - means[1]
    roots = [_inverse_root(z.T @ z / len(z) + ridge * np.eye(z.shape[1])) for z in (x, y)]
    left, correlations, right = np.linalg.svd(roots[0] @ (x.T @ y / len(x)) @ roots[1], full_matrices=False)
    left, correlations, right = left[:, :dims], correlations[:dims], right[:dims].T
    sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])]) * np.sqrt(correlations)
    return roots[0] @ left * sign, roots[1] @ right * sign, *means, correlations


def _inverse_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric inverse square root of a positive definite matrix."""
    values, axes = np.linalg.eigh(matrix)
    return (axes / np.sqrt(values)) @ axes.T
