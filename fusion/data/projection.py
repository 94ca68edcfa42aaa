"""Modality vectors made comparable: standardised columns, projected onto their principal axes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog
from schemas.table import MODALITIES

T = TypeVar("T", bound=np.generic)

MAX_ROWS = 20_000
"""Most rows that the covariance is estimated from, evenly spaced."""


@dataclass(frozen=True)
class Projection:
    """x → ((x - mean) / scale) @ axes, for rows that have the modality; 0 for the others.

    Attributes:
        mean, scale: float32 [d]; a column that never varied has scale infinity, and so becomes 0.
        axes: float32 [d, p], principal axes, divided by one common factor so that the p columns of the fitted rows have
            variance 1 on average.
        whitener: float32 [p], the factor that gives each projected column variance 1.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    axes: NDArray[np.float32]
    whitener: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], mask: NDArray[np.bool_], *, dims: int = 128) -> "Projection":
        """Principal component analysis (Pearson 1901) of the standardised rows where `mask` is True.

        `p` is the least of `dims`, d and the number of directions that vary. The sign of an axis is such that its
        largest entry by size is positive. With no row, or rows that are all the same, p is 0.

        Args:
            vectors: float32 [N, d].
            mask: bool [N].
            dims: most columns that are kept.
        """
        rows = evenly_spaced(vectors[mask].astype(np.float64), most=MAX_ROWS)
        if not rows.size:
            return cls._empty(vectors.shape[1])
        mean, scale = column_scale(rows)
        standard = (rows - mean) / scale
        # eigh returns eigenvalues in ascending order; those that are 0 but for rounding are dropped.
        values, axes = np.linalg.eigh(np.cov(standard, rowvar=False, ddof=0).reshape(len(mean), -1))
        order = np.argsort(-values, kind="stable")[:dims]
        order = order[values[order] > 1e-9 * max(1.0, values[-1])]
        variance, axes = values[order], axes[:, order]
        sign = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        common = np.sqrt(variance.mean()) if len(variance) else 1.0
        arrays = (mean, scale, axes * sign / common, common / np.sqrt(variance))
        return cls(*(array.astype(np.float32) for array in arrays))

    @classmethod
    def _empty(cls, d: int) -> "Projection":
        none = np.zeros(0, np.float32)
        return cls(np.zeros(d, np.float32), np.ones(d, np.float32), np.zeros((d, 0), np.float32), none)

    @property
    def dims(self) -> int:
        return self.axes.shape[1]

    def __call__(self, vectors: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32 [N, p], exactly 0 where the mask is False.

        Raises:
            ValueError: some row is masked in, and the width differs from the fitted rows'.
        """
        projected = np.zeros((len(vectors), self.dims), np.float32)
        if not self.dims or not mask.any():
            return projected
        if vectors.shape[1:] != self.mean.shape:
            raise ValueError(f"vectors of shape {vectors.shape}: expected [N, {len(self.mean)}], as fitted")
        projected[mask] = ((vectors[mask] - self.mean) / self.scale) @ self.axes
        return projected

    def inverse(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Projected rows [n, p] → float32 [n, d]: of the vectors that project onto them, the one nearest the mean in
        standard units. Columns that never varied are at the mean."""
        # The axes are orthogonal, so their pseudo-inverse is their transpose, each row over its squared length.
        lengths = (self.axes**2).sum(axis=0)
        standard = projected @ (self.axes / np.where(lengths > 0, lengths, 1)).T
        return (self.mean + np.where(np.isfinite(self.scale), self.scale, 0) * standard).astype(np.float32)

    def whitening(self, width: int) -> NDArray[np.float32]:
        """float32 [p, min(width, p)]: maps projected rows to their first columns, each with variance 1."""
        return np.diag(self.whitener)[:, :width]

    def state(self) -> dict[str, NDArray[np.float32]]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[np.float32]]) -> "Projection":
        return cls(**state)


def fit_projections(catalog: Catalog, *, dims: int) -> dict[str, Projection]:
    """Modality → its projection, fitted on the items that have the modality."""
    return {m: Projection.fit(catalog.vectors[m], catalog.masks[m], dims=dims) for m in MODALITIES}


def projections_state(projections: Mapping[str, Projection]) -> dict[str, NDArray[np.float32]]:
    """The arrays of all projections, under `modality/name`."""
    return {f"{m}/{name}": array for m, p in projections.items() for name, array in p.state().items()}


def projections_from(state: Mapping[str, NDArray[Any]]) -> dict[str, Projection]:
    """The inverse of `projections_state`; other entries of `state` are ignored."""
    names = [entry.name for entry in fields(Projection)]
    return {m: Projection.from_state({name: state[f"{m}/{name}"] for name in names}) for m in MODALITIES}


def modality_masks(catalog: Catalog, projections: Mapping[str, Projection]) -> dict[str, NDArray[np.bool_]]:
    """Modality → bool [N]: the item has the modality, and its projection has at least one column."""
    return {m: catalog.masks[m] & (projections[m].dims > 0) for m in MODALITIES}


def evenly_spaced(rows: NDArray[T], *, most: int) -> NDArray[T]:
    """Every s-th row, s the least step that leaves no more than `most`."""
    return rows[:: max(1, -(-len(rows) // most))]


def column_scale(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation, float64 [d] each, of the columns of `rows` [n, d].

    The deviation of a column that varies by no more than rounding is infinity, so that dividing by it gives 0.
    """
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return mean, np.where(deviation > 1e-6 * np.maximum(1e-6, np.abs(mean)), deviation, np.inf)
