"""Scorers of content: ridge regression of likes on the features of all modalities and of each, and neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History
from fusion.data.history_features import principal_axes, recency_matrix
from fusion.models.base import block_slices
from fusion.models.ridge import covariance, ridge_map, with_unit_variance
from fusion.models.stack.kernel_features import KernelFeatures
from fusion.models.stack.scores import Part, under, with_mean_user
from schemas.table import MODALITIES

DEGREES = {"text": 3, "image": 1, "audio": 1, "video": 1}
"""Degree of each modality's kernel."""
DIMS = {"text": 512, "image": 128, "audio": 128, "video": 128}
"""Most columns of each modality's features."""
TERMS_GAIN = 0.5
"""Weight of shared terms beside the vectors in the text's kernel."""
RIDGE = 20.0
SMOOTHING, SMOOTHING_RANK, SMOOTHING_RIDGE = 2.0, 64, 100.0
"""Weight, axes and ridge of what the linear autoencoder expects beside the likes (`ContentScorers`)."""
RECENT = 10.0
"""Likes after which a like weighs 1/e for the scorer of recent content."""
SCORERS = (
    "content_ridge",
    "content_ridge_recent",
    *(f"{modality}_{kind}" for modality in MODALITIES for kind in ("ridge", "neighbours")),
)


@dataclass(frozen=True)
class ContentFeatures:
    """A catalog's vectors as features whose dot products are kernels; learnt from the catalog without any likes.

    Attributes:
        kernels: modality → its features.
    """

    kernels: Mapping[str, KernelFeatures]

    @classmethod
    def fit(cls, catalog: Catalog, *, seed: int) -> Self:
        kernels: dict[str, KernelFeatures] = {}
        for modality in MODALITIES:
            mask = catalog.masks[modality]
            terms = catalog.terms[mask] if modality == "text" and catalog.terms is not None else None
            kernels[modality] = KernelFeatures.fit(
                catalog.vectors[modality][mask],
                terms,
                degree=DEGREES[modality],
                dims=DIMS[modality],
                terms_gain=TERMS_GAIN,
                seed=seed,
            )
        return cls(kernels)

    @property
    def widths(self) -> dict[str, int]:
        """Modality → its number of columns; 0 where no item has it, or all are alike in it."""
        return {modality: kernel.dims for modality, kernel in self.kernels.items()}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        """Modality → bool [N]: the item has the modality, and the modality has a column."""
        return {m: catalog.masks[m] & (kernel.dims > 0) for m, kernel in self.kernels.items()}

    def __call__(self, catalog: Catalog) -> NDArray[np.float32]:
        """float32 [N, p], the modalities side by side, 0 where missing."""
        terms = {"text": catalog.terms}
        return np.hstack(
            [kernel(catalog.vectors[m], catalog.masks[m], terms.get(m)) for m, kernel in self.kernels.items()]
        )

    def state(self) -> dict[str, NDArray[Any]]:
        return {f"{m}/{name}": array for m, kernel in self.kernels.items() for name, array in kernel.state().items()}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        return cls({m: KernelFeatures.from_state(under(f"{m}/", state)) for m in MODALITIES})


@dataclass(frozen=True)
class ContentScorers:
    """score = u · φ_i over a catalog's features φ (`ContentFeatures`); a user's u is, for a row x of likes,

    | scorer | u |
    | --- | --- |
    | `content_ridge` | K Zᵀ x: the ridge regression of the likes on all features (`fusion.models.ridge.ridge_map`) |
    | `content_ridge_recent` | the same, mostly of the last likes |
    | `text_ridge`, ... | the regression on the features of one modality |
    | `text_neighbours`, ... | Φᵀ x, the sum of the features of what the user likes: of its kernels to a candidate |

    Φ are the features of the items with a like and K = (Φᵀ Φ + ridge I)⁻¹. With Z = Φ, u · φ predicts x. With Z = Φ +
    smoothing V D Vᵀ Φ it also predicts what the linear autoencoder of the history expects the user to like (Jin et al.
    2021, eq. 9), which matters for users with few likes; V are the principal axes of the likes with singular values s,
    and D = diag(s² / (s² + smoothing ridge)).

    A user without a like is the mean of all likes. C is the number of items with a like.

    Attributes:
        widths: modality → its columns.
        own: float32 [C, p], Φ.
        sources: float32 [C, p], Z.
        kernel: float32 [p, p], K.
        kernels: modality → float32 [p_m, p_m], the K of its own columns alone.
        spread: float64 [p, p], covariance of the features over the catalog.
        count: float32 [C], likes.
    """

    widths: Mapping[str, int]
    own: NDArray[np.float32]
    sources: NDArray[np.float32]
    kernel: NDArray[np.float32]
    kernels: Mapping[str, NDArray[np.float32]]
    spread: NDArray[np.float64]
    count: NDArray[np.float32]

    @classmethod
    def fit(cls, features: NDArray[np.float32], likes: sp.csr_matrix, *, widths: Mapping[str, int], seed: int) -> Self:
        """
        Args:
            features: float32 [N, p], modalities side by side.
            likes: CSR float32 [U, N].
            seed: of the principal axes.
        """
        count = np.asarray(likes.sum(axis=0)).ravel()
        known = count > 0
        own = np.where(known[:, None], features, 0).astype(np.float64)
        axes, values = principal_axes(likes, rank=SMOOTHING_RANK, seed=seed)
        # V (D (Vᵀ Φ)) through r columns, never the [N, N] matrix of the autoencoder
        expected = (axes * (values**2 / (values**2 + SMOOTHING_RIDGE))) @ (axes.T @ own)
        gram = own.T @ own
        columns = block_slices(widths)
        kernels = {m: ridge_map(gram[part, part], ridge=RIDGE).astype(np.float32) for m, part in columns.items()}
        return cls(
            dict(widths),
            features[known],
            (own + SMOOTHING * expected)[known].astype(np.float32),
            ridge_map(gram, ridge=RIDGE).astype(np.float32),
            kernels,
            covariance(features),
            count[known].astype(np.float32),
        )

    def parts(self, likes: History, users: NDArray[np.integer], *, first: int) -> Iterator[Part]:
        """Every scorer's part for some users.

        Args:
            likes: of known items, by their place among them.
            users: int [B], positions in `user_ids`.
            first: the column of the item matrix at which the features begin.
        """
        everything = slice(0, len(self.kernel))
        if not len(self.kernel):
            return  # no item has a modality
        past = self._rows(likes, users, decay=None)
        profile = past @ self.sources
        yield self._part("content_ridge", everything, profile @ self.kernel, first)
        recent = self._rows(likes, users, decay=RECENT) @ self.sources
        yield self._part("content_ridge_recent", everything, recent @ self.kernel, first)
        for modality, columns in block_slices(self.widths).items():
            if columns.stop > columns.start:
                regressed = profile[:, columns] @ self.kernels[modality]
                yield self._part(f"{modality}_ridge", columns, regressed, first)
                yield self._part(f"{modality}_neighbours", columns, past @ self.own[:, columns], first)

    def _rows(self, likes: History, users: NDArray[np.integer], *, decay: float | None) -> sp.csr_matrix:
        """CSR float32 [B, C]: the users' weighted likes; those of all users together where there is none."""
        return with_mean_user(recency_matrix(likes, len(self.own), decay=decay)[users], self.count)

    def _part(self, name: str, columns: slice, users: NDArray[np.float32], first: int) -> Part:
        place = slice(first + columns.start, first + columns.stop)
        return Part(name, place, with_unit_variance(users, self.spread[columns, columns]))

    def state(self) -> dict[str, NDArray[Any]]:
        kernels = {f"kernels/{m}": kernel for m, kernel in self.kernels.items()}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return arrays | kernels | {"widths": np.array([self.widths[m] for m in MODALITIES])}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        widths = dict(zip(MODALITIES, state["widths"].tolist(), strict=True))
        kernels: dict[str, NDArray[np.float32]] = {m: state[f"kernels/{m}"] for m in MODALITIES}
        return cls(widths=widths, kernels=kernels, **{name: state[name] for name in _ARRAYS})


_ARRAYS = ("own", "sources", "kernel", "spread", "count")
