"""Ridge regression of users' likes on the items' content features, for all users at once."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.models.ridge import ridge_map

SMOOTHING_RANK, SMOOTHING_RIDGE = 64, 100.0


@dataclass(frozen=True)
class ContentRidge:
    """score = u · φ with u = K Zᵀ x, for a user's row x of likes and an item's features φ; K is that of
    `fusion.models.ridge.ridge_map`.

    With Z = Φ, the features of the known items, u · φ is the prediction of a ridge regression of x on the features,
    each column scaled by the root of its modality's gain. Z = Φ + smoothing V diag(s² / (s² + ridge')) Vᵀ Φ makes it
    predict not only what a user likes but also what the linear autoencoder of the history expects them to like
    (`fusion.data.history_features.autoencoder_factors`), which matters for users with few likes.

    Attributes:
        sources: float32 [N, p], Z; rows of items without a like are zero.
        gram: float64 [p, p], Φᵀ Φ over the items with a like.
    """

    sources: NDArray[np.float32]
    gram: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        features: NDArray[np.float32],
        likes: sp.csr_matrix,
        axes: NDArray[np.float64],
        values: NDArray[np.float64],
        *,
        smoothing: float,
    ) -> Self:
        """
        Args:
            features: float32 [N, p].
            likes: CSR float32 [U, N].
            axes, values: V float64 [N, r] and s [r] of the likes (`fusion.data.history_features.principal_axes`), of
                which the first `SMOOTHING_RANK` are used.
        """
        known = np.diff(likes.tocsc().indptr) > 0
        own = np.where(known[:, None], features, 0).astype(np.float64)
        axes, values = axes[:, :SMOOTHING_RANK], values[:SMOOTHING_RANK]
        # V (diag(...) (Vᵀ Φ)) through r columns, never the [N, N] matrix of the autoencoder
        expected = (axes * (values**2 / (values**2 + SMOOTHING_RIDGE))) @ (axes.T @ own)
        return cls((own + smoothing * expected).astype(np.float32), own.T @ own)

    def kernel(self, gains: NDArray[np.float64], *, ridge: float) -> NDArray[np.float32]:
        """float32 [p, p]: K for gains float64 [p] of the columns."""
        return ridge_map(self.gram, ridge=ridge, gains=gains).astype(np.float32)
