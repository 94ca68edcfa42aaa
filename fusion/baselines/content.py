"""Baselines of content alone: a candidate is scored by its nearest neighbours that the user likes."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, like_matrix
from fusion.ranking.nearest_neighbours import nearest
from schemas.table import Medium


class _Neighbours:
    """A candidate's score is the share of its `neighbours` nearest liked items that the user likes, each weighted by
    its cosine to the power of `sharpness`: a weighted mean, so that an item with nearer neighbours is not scored higher
    for that (the weighted sum of Sarwar et al. 2001, section 3.2.1, over content)."""

    def __init__(self, *, neighbours: int, sharpness: float) -> None:
        self.neighbours, self.sharpness = neighbours, sharpness

    def _learn(self, vectors: NDArray[np.float32] | sp.csr_matrix, history: History) -> None:
        n_items = vectors.shape[0]
        liked = np.bincount(history.likes().item, minlength=n_items) > 0
        # CSR [N, N]: row i holds the cosines of item i's neighbours, scaled to sum to 1. It is kept transposed, so that
        # likes [B, N] times it sums a candidate's weights over the user's likes.
        near = nearest([vectors], [vectors], k=self.neighbours, own=np.arange(n_items), among=liked)
        near.data **= np.float32(self.sharpness)
        sums = np.asarray(near.sum(axis=1)).ravel()
        self._shares = (sp.diags(1 / np.where(sums > 0, sums, 1)) @ near).T.tocsr().astype(np.float32)

    def scores(self, history: History, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), n_items], from the users' likes in `history`."""
        return (like_matrix(history, self._shares.shape[0])[users] @ self._shares).toarray()


class ContentNeighbours(_Neighbours):
    """Neighbours by the cosine of one modality's vectors, centred on the mean of the items that have it; an item
    without it scores 0."""

    def __init__(self, modality: Medium, *, neighbours: int = 50, sharpness: float = 3.0) -> None:
        super().__init__(neighbours=neighbours, sharpness=sharpness)
        self.modality = modality

    def fit(self, history: History, n_items: int, *, catalog: Catalog | None = None, **_: Any) -> "ContentNeighbours":
        """Raises ValueError without a catalog."""
        if catalog is None:
            raise ValueError(f"neighbours by {self.modality} without a catalog: expected one of {n_items} items")
        vectors, mask = catalog.vectors[self.modality], catalog.masks[self.modality]
        mean = vectors[mask].mean(axis=0) if mask.any() else np.zeros(vectors.shape[1], np.float32)
        self._learn(np.where(mask[:, None], vectors - mean, np.float32(0)), history)
        return self


class TermNeighbours(_Neighbours):
    """Neighbours by the cosine of tf-idf: (1 + ln tf) (1 + ln((1 + N) / (1 + df))) for a term that occurs tf times in
    the text and in df of the N texts (Salton and Buckley 1988, with the smoothed idf of scikit-learn)."""

    def __init__(self, *, neighbours: int = 100, sharpness: float = 1.0) -> None:
        super().__init__(neighbours=neighbours, sharpness=sharpness)

    def fit(self, history: History, n_items: int, *, terms: sp.csr_matrix | None = None, **_: Any) -> "TermNeighbours":
        """Raises ValueError without terms, or if they are of another number of items."""
        from sklearn.feature_extraction.text import TfidfTransformer

        if terms is None or terms.shape[0] != n_items:
            shape = "none" if terms is None else f"shape {terms.shape}"
            raise ValueError(f"tf-idf neighbours with terms of {shape}: expected CSR [{n_items}, T] of term counts")
        weighed = TfidfTransformer(sublinear_tf=True).fit_transform(terms.astype(np.float64)) if terms.nnz else terms
        self._learn(weighed.tocsr().astype(np.float32), history)
        return self
