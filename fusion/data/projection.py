"""Modality vectors made comparable: standardised columns, projected onto their principal axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.attributes import AttributeEmbedding
from fusion.data.catalog import Catalog, evenly_spaced
from fusion.data.matrix_factors import principal_axes
from schemas.table import ATTRIBUTES, MODALITIES

MAX_ROWS = 20_000
"""Most rows that the covariance is estimated from, evenly spaced."""


@dataclass(frozen=True)
class Projection:
    """x → ((x - mean) / scale) @ axes, for rows that have the modality; 0 for the others.

    Where vectors are several blocks side by side, each has the same variance before the axes are found, and a block
    that a row lacks, which is zeros, is at the mean.

    Attributes:
        mean, scale: float32 [d]; a column that never varied has scale infinity, and so becomes 0.
        axes: float32 [d, p], principal axes, divided by one common factor so that the p columns of the fitted rows have
            variance 1 on average.
        whitener: float32 [p], the factor that gives each projected column variance 1.
        widths: int64 [b], of the blocks; they sum to d.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    axes: NDArray[np.float32]
    whitener: NDArray[np.float32]
    widths: NDArray[np.int64]

    @classmethod
    def fit(
        cls, vectors: NDArray[np.float32], mask: NDArray[np.bool_], *, dims: int = 128, widths: Sequence[int] = ()
    ) -> "Projection":
        """Principal component analysis (Pearson 1901) of the standardised rows where `mask` is True.

        `p` is the least of `dims`, d and the number of directions that vary. The sign of an axis is such that its
        largest entry by size is positive. With no row, or rows that are all the same, p is 0.

        Args:
            vectors: float32 [N, d].
            mask: bool [N].
            dims: most columns that are kept.
            widths: of the blocks; one of all columns when left out.
        """
        rows = evenly_spaced(vectors[mask].astype(np.float64), most=MAX_ROWS)
        blocks = np.array(widths or [vectors.shape[1]], np.int64)
        if not rows.size:
            return cls._empty(blocks)
        present = _present(rows, blocks)
        mean, scale = np.zeros(rows.shape[1]), np.full(rows.shape[1], np.inf)
        for columns, known in zip(_slices(blocks), present.T, strict=True):
            if known.any():
                mean[columns], scale[columns] = column_scale(rows[known, columns])
                scale[columns] *= np.sqrt((columns.stop - columns.start) * len(blocks) / rows.shape[1])
        standard = (rows - mean) / scale * np.repeat(present, blocks, axis=1)
        # the columns' means are 0: a block's over the rows that have it, and 0 for the others
        axes, values = principal_axes(standard, rank=dims, seed=0)
        variance = values**2 / len(standard)
        varies = variance > 1e-9 * variance.max(initial=1.0)  # the others are rounding
        axes, variance = axes[:, varies], variance[varies]
        common = np.sqrt(variance.mean()) if len(variance) else 1.0
        arrays = [mean, scale, axes / common, common / np.sqrt(variance)]
        mean, scale, axes, whitener = (array.astype(np.float32) for array in arrays)
        return Projection(mean, scale, axes, whitener, blocks)

    @classmethod
    def _empty(cls, widths: NDArray[np.int64]) -> "Projection":
        none, d = np.zeros(0, np.float32), int(widths.sum())
        return Projection(np.zeros(d, np.float32), np.ones(d, np.float32), np.zeros((d, 0), np.float32), none, widths)

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
        rows = vectors[mask]
        standard = (rows - self.mean) / self.scale
        if len(self.widths) > 1:
            standard *= np.repeat(_present(rows, self.widths), self.widths, axis=1)
        projected[mask] = standard @ self.axes
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

    def state(self) -> dict[str, NDArray[Any]]:
        return {entry.name: getattr(self, entry.name) for entry in fields(Projection)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> "Projection":
        """The inverse of `state`; without `widths`, as of versions that had none, there is one block."""
        arrays = {"widths": np.array([len(state["mean"])])} | dict(state)
        return Projection(**{entry.name: arrays[entry.name] for entry in fields(Projection)})


@dataclass(frozen=True)
class AttributeProjection(Projection):
    """Rows of `fusion.data.attributes.attribute_rows` → the columns of their embedding, with variance 1 on average."""

    embedding: AttributeEmbedding

    @classmethod
    def of(cls, catalog: Catalog, *, dims: int) -> Self:
        """Fitted on the items that have attributes."""
        embedding = AttributeEmbedding.fit(catalog.vectors[ATTRIBUTES][catalog.masks[ATTRIBUTES]], dims=dims)
        p, variance = embedding.dims, embedding.variance.astype(np.float64)
        common = np.sqrt(variance.mean()) if p else 1.0
        whitener = (common / np.sqrt(variance)).astype(np.float32)
        mean, scale, axes = np.zeros(p, np.float32), np.full(p, common, np.float32), np.eye(p, dtype=np.float32)
        return cls(mean, scale, axes, whitener, np.array([p]), embedding)

    def __call__(self, vectors: Any, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32 [N, p], exactly 0 where the mask is False.

        Args:
            vectors: CSR float32, rows of `attribute_rows`.
        """
        return super().__call__(self.embedding(vectors, mask), mask)

    def state(self) -> dict[str, NDArray[Any]]:
        return super().state() | {f"embedding/{name}": array for name, array in self.embedding.state().items()}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> "AttributeProjection":
        """The inverse of `state`."""
        prefix = "embedding/"
        embedding = {n.removeprefix(prefix): array for n, array in state.items() if n.startswith(prefix)}
        return cls(**vars(Projection.from_state(state)), embedding=AttributeEmbedding.from_state(embedding))


def fit_projections(catalog: Catalog, *, dims: int, modalities: Sequence[str] = MODALITIES) -> dict[str, Projection]:
    """Modality → its projection, fitted on the items that have the modality."""
    return {
        m: AttributeProjection.of(catalog, dims=dims)
        if m == ATTRIBUTES
        else Projection.fit(catalog.vectors[m], catalog.masks[m], dims=dims, widths=catalog.widths.get(m, ()))
        for m in modalities
    }


def projections_state(projections: Mapping[str, Projection]) -> dict[str, NDArray[Any]]:
    """The arrays of all projections, under `modality/name`."""
    return {f"{m}/{name}": array for m, p in projections.items() for name, array in p.state().items()}


def projections_from(state: Mapping[str, NDArray[Any]]) -> dict[str, Projection]:
    """The inverse of `projections_state`, of the modalities that are in there; other entries are ignored. Versions that
    did not read attributes have none."""
    found: dict[str, Projection] = {}
    for modality in (m for m in MODALITIES if f"{m}/mean" in state):
        prefix = f"{modality}/"
        arrays = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        found[modality] = (AttributeProjection if modality == ATTRIBUTES else Projection).from_state(arrays)
    return found


def modality_masks(catalog: Catalog, projections: Mapping[str, Projection]) -> dict[str, NDArray[np.bool_]]:
    """Modality → bool [N]: the item has the modality, and its projection is there and has at least one column."""
    return {m: catalog.masks[m] & (m in projections and projections[m].dims > 0) for m in MODALITIES}


def column_scale(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation, float64 [d] each, of the columns of `rows` [n, d].

    The deviation of a column that varies by no more than rounding is infinity, so that dividing by it gives 0.
    """
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return mean, np.where(deviation > 1e-6 * np.maximum(1e-6, np.abs(mean)), deviation, np.inf)


def _slices(widths: NDArray[np.int64]) -> list[slice]:
    ends = np.cumsum([0, *widths])
    return [slice(first, last) for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def _present(rows: NDArray[np.floating], widths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [n, b]: whether a row has each block. One that is all there is was masked by the caller."""
    if len(widths) == 1:
        return np.ones((len(rows), 1), np.bool_)
    return np.stack([rows[:, columns].any(axis=1) for columns in _slices(widths)], axis=1)
