"""Similarity of content alone: for catalogs with no history, or too little to learn from."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History
from fusion.data.history_features import recency_matrix, user_profiles
from fusion.data.projection import fit_projections, modality_masks, projections_from, projections_state
from fusion.models.base import FitContext, Strategy, block_slices
from fusion.ranking.nearest_neighbours import unit_rows
from fusion.training.config import FitLog
from schemas.table import MODALITIES, OF_EVENTS

WEIGHTS = {"text": 1.0, "image": 0.5, "audio": 0.5, "video": 0.5, "attributes": 0.5}


class Content(Strategy):
    """score(u, i) = u · v_i, where v_i holds the item's projected modality vectors side by side, each of length 1 times
    the root of its modality's weight, the whole then scaled to length 1; u is the mean v of the items that the user
    likes, and for a user without a like the mean over all likes.

    An item's whole vector has length 1 whatever it lacks, so that items with more modalities are not ahead. The
    projections are not whitened: with as many directions as items, whitening makes all items equally far apart.

    Args:
        dims: columns a modality has at most.
        weights: modality → weight of its cosine; one left out has that of `WEIGHTS`.
    """

    name = "content"

    def __init__(self, *, dims: int = 128, weights: Mapping[str, float] | None = None) -> None:
        unknown = set(weights or {}) - set(MODALITIES)
        if unknown:
            raise ValueError(f"weights for {sorted(unknown)}: expected modalities among {list(MODALITIES)}")
        self.dims = dims
        self.weights = {**WEIGHTS, **(weights or {})}

    def parameters(self) -> dict[str, Any]:
        return {"dims": self.dims, "weights": self.weights}

    def _fit(self, context: FitContext) -> FitLog:
        started = time.monotonic()
        catalog, likes = context.catalog, context.train.likes()
        self._projections = fit_projections(catalog, dims=self.dims)
        vectors = self.item_vectors(catalog)
        counts = np.bincount(likes.item, weights=likes.weight, minlength=len(catalog))
        weights = counts if len(likes) else np.full(len(catalog), 1 / max(1, len(catalog)))
        self._prior = (weights @ vectors / max(weights.sum(), 1e-9)).astype(np.float32)
        return FitLog(seconds=time.monotonic() - started)

    @property
    def blocks(self) -> dict[str, slice]:
        return block_slices({**dict.fromkeys(OF_EVENTS, 0), **{m: self._projections[m].dims for m in MODALITIES}})

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        nothing = dict.fromkeys(OF_EVENTS, np.zeros(len(catalog), np.bool_))
        return nothing | modality_masks(catalog, self._projections)

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        parts = [np.sqrt(self.weights[m]) * self._projected(catalog, m) for m in MODALITIES]
        return unit_rows(np.hstack(parts)).astype(np.float32)

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        weights = recency_matrix(history.likes(), len(catalog), decay=None)
        vectors = user_profiles(weights, [self.item_vectors(catalog)], [np.ones(len(catalog), np.bool_)])
        return np.where(np.diff(weights.indptr)[:, None] > 0, vectors, self._prior)

    def _projected(self, catalog: Catalog, modality: str) -> NDArray[np.float32]:
        """float32 [N, p], rows of length 1, or of zeros where the modality is missing."""
        projection = self._projections[modality]
        return unit_rows(projection(catalog.vectors[modality], catalog.masks[modality]))

    def state(self) -> dict[str, NDArray[Any]]:
        return {"prior": self._prior, **projections_state(self._projections)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._prior = state["prior"]
        self._projections = projections_from(state)
