"""A linear scorer of one block, fitted alone and in closed form."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.models.ridge import covariance, ridge_map, with_unit_variance


@dataclass(frozen=True)
class LinearScorer:
    """score(x, i) = (x V A) · (v_i - m) / sqrt(u' C u) with u = x V A, for a user's likes x [N] and features V [N, p].

    m and C are the mean and the covariance of the features of the items fitted on, so that every user's scores over
    those items have mean 0 and variance 1: u' C u is the variance of u · v_i.

    Attributes:
        mean: float32 [p].
        covariance: float64 [p, p].
        solve: float64 [p, p], A.
        prior: float32 [p], the u of a user without a like: that of the mean user, not yet standardised.
    """

    mean: NDArray[np.float32]
    covariance: NDArray[np.float64]
    solve: NDArray[np.float64]
    prior: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        features: NDArray[np.float32],
        mask: NDArray[np.bool_],
        likes: sp.csr_matrix,
        *,
        ridge: float | None,
    ) -> "LinearScorer":
        """Fits on the items where `mask` is True.

        With `ridge` λ, A = (V'V + λI)⁻¹ over the centred features of those items: u is then the ridge regression of x
        on them (`fusion.models.ridge.ridge_map`). Without, A is the identity.

        Args:
            features: float32 [N, p], 0 where masked out.
            mask: bool [N].
            likes: CSR [U, N].
        """
        width = features.shape[1]
        rows = features[mask].astype(np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(width)
        item_covariance = covariance(rows)
        solve = np.eye(width) if ridge is None else ridge_map(len(rows) * item_covariance, ridge=ridge)
        own = cls(mean.astype(np.float32), item_covariance, solve, np.zeros(width, np.float32))
        # the mean user's likes [1, N] as the likes of one user
        users = np.diff(likes.indptr) > 0
        mean_user = sp.csr_matrix(likes.sum(axis=0) / max(1, users.sum()))
        return cls(own.mean, own.covariance, solve, own._users(features, mask, mean_user)[0].astype(np.float32))

    def items(self, features: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32 [N, p], exactly 0 where masked out."""
        return np.where(mask[:, None], features - self.mean, np.float32(0))

    def users(
        self, features: NDArray[np.float32], mask: NDArray[np.bool_], likes: sp.csr_matrix
    ) -> NDArray[np.float32]:
        """float32 [U, p], standardised; 0 for a user none of whose liked items has the features."""
        users = self._users(features, mask, likes)
        users[np.diff(likes.indptr) == 0] = self.prior
        return with_unit_variance(users, self.covariance)

    def _users(
        self, features: NDArray[np.float32], mask: NDArray[np.bool_], likes: sp.csr_matrix
    ) -> NDArray[np.float64]:
        """float64 [U, p], u, not standardised."""
        return np.asarray(likes @ (self.items(features, mask).astype(np.float64) @ self.solve))

    def state(self, prefix: str) -> dict[str, NDArray[Any]]:
        return {f"{prefix}/{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, prefix: str, state: Mapping[str, NDArray[Any]]) -> "LinearScorer":
        """The inverse of `state`."""
        return cls(**{field.name: state[f"{prefix}/{field.name}"] for field in fields(cls)})
