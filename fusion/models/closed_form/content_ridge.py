"""What users like about content: a ridge regression of their likes on the items' features, for all users at once."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.models.ridge import ridge_map

SMOOTHING_RANK, SMOOTHING_RIDGE = 64, 100.0


@dataclass(frozen=True)
class Taste:
    """The user of a row x of likes is u = K Zᵀ x and an item's score u · φ, with K as in
    `fusion.models.ridge.ridge_map`.

    With Z = Φ, the known items' features, u · φ is the prediction of a ridge regression of x, whose columns count by
    their modality's gain. Z = Φ + smoothing V diag(s² / (s² + ridge')) Vᵀ Φ has it predict not only what a user likes
    but also what the linear autoencoder of the history expects them to like
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
            axes, values: principal axes of the likes (`fusion.data.history_features.principal_axes`), of which the
                first `SMOOTHING_RANK` play a part.
        """
        known = np.diff(likes.tocsc().indptr) > 0
        own = np.where(known[:, None], features, 0).astype(np.float64)
        axes, values = axes[:, :SMOOTHING_RANK], values[:SMOOTHING_RANK]
        expected = (axes * (values**2 / (values**2 + SMOOTHING_RIDGE))) @ (axes.T @ own)
        return cls((own + smoothing * expected).astype(np.float32), own.T @ own)

    def kernel(self, gains: NDArray[np.float64], *, ridge: float) -> NDArray[np.float32]:
        """float32 [p, p]: K for gains float64 [p] of the columns."""
        return ridge_map(self.gram, ridge=ridge, gains=gains).astype(np.float32)
