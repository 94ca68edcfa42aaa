"""Scorers of content: ridge regression of likes on the features of all media and of each modality, and neighbours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.attributes import AttributeEmbedding
from fusion.data.catalog import Catalog, History
from fusion.data.history_features import recency_matrix
from fusion.data.matrix_factors import principal_axes
from fusion.models.base import block_slices
from fusion.models.ridge import covariance, ridge_map, with_unit_variance
from fusion.models.stack.kernel_features import KernelFeatures
from fusion.models.stack.scores import Part, under, with_mean_user
from schemas.table import ATTRIBUTES, MEDIA, MODALITIES

DEGREES = {"text": 3, "image": 1, "audio": 1, "video": 1}
"""Degree of the kernel of each modality's vectors."""
DIMS = {"text": 512, "image": 128, "audio": 128, "video": 128, "attributes": 128}
"""Most columns of the features of each block of a modality's vectors."""
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

    A modality's features are those of the blocks of its vectors, side by side, so that their kernels add up.

    Attributes:
        kernels: medium → the features of each block of its vectors.
        attributes: the features of the items' attributes.
    """

    kernels: Mapping[str, Sequence[KernelFeatures]]
    attributes: AttributeEmbedding

    @classmethod
    def fit(cls, catalog: Catalog, *, seed: int) -> Self:
        kernels: dict[str, list[KernelFeatures]] = {modality: [] for modality in MEDIA}
        for modality, fitted in kernels.items():
            for vectors, mask in catalog.blocks(modality):
                # terms are of the text itself, whatever encodes it, and are counted once
                terms = catalog.terms[mask] if modality == "text" and not fitted and catalog.terms is not None else None
                features = KernelFeatures.fit(
                    vectors[mask],
                    terms,
                    degree=DEGREES[modality],
                    dims=DIMS[modality],
                    terms_gain=TERMS_GAIN,
                    seed=seed,
                )
                fitted.append(features)
        said = catalog.vectors[ATTRIBUTES][catalog.masks[ATTRIBUTES]]
        return cls(kernels, AttributeEmbedding.fit(said, dims=DIMS[ATTRIBUTES]))

    @property
    def widths(self) -> dict[str, int]:
        """Modality → its number of columns; 0 where no item has it, or all are alike in it."""
        media = {modality: sum(kernel.dims for kernel in kernels) for modality, kernels in self.kernels.items()}
        return media | {ATTRIBUTES: self.attributes.dims}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        """Modality → bool [N]: the item has the modality, and the modality has a column."""
        return {m: catalog.masks[m] & (width > 0) for m, width in self.widths.items()}

    def __call__(self, catalog: Catalog) -> NDArray[np.float32]:
        """float32 [N, p], the modalities side by side, 0 where missing.

        Raises:
            ValueError: the catalog's vectors are of other blocks than those fitted.
        """
        features = [np.zeros((len(catalog), 0), np.float32)]
        for modality, kernels in self.kernels.items():
            blocks = catalog.blocks(modality)
            if len(blocks) != len(kernels):
                raise ValueError(f"{modality} vectors of {len(blocks)} blocks: expected {len(kernels)}, as fitted")
            for place, (kernel, (vectors, mask)) in enumerate(zip(kernels, blocks, strict=True)):
                features.append(kernel(vectors, mask, catalog.terms if modality == "text" and not place else None))
        features.append(self.attributes(catalog.vectors[ATTRIBUTES], catalog.masks[ATTRIBUTES]))
        return np.hstack(features)

    def state(self) -> dict[str, NDArray[Any]]:
        parts = {f"{m}/{place}": each for m, kernels in self.kernels.items() for place, each in enumerate(kernels)}
        arrays = {f"{part}/{name}": array for part, each in parts.items() for name, array in each.state().items()}
        return arrays | {f"{ATTRIBUTES}/{name}": array for name, array in self.attributes.state().items()}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`; other entries are ignored."""
        kernels: dict[str, list[KernelFeatures]] = {modality: [] for modality in MEDIA}
        for modality, restored in kernels.items():
            while part := under(f"{modality}/{len(restored)}/", state):
                restored.append(KernelFeatures.from_state(part))
        return cls(kernels, AttributeEmbedding.from_state(under(f"{ATTRIBUTES}/", state)))


@dataclass(frozen=True)
class ContentScorers:
    """score = u · φ_i over a catalog's features φ (`ContentFeatures`); a user's u is, for a row x of likes,

    | scorer | u |
    | --- | --- |
    | `content_ridge` | K Zᵀ x: ridge regression of likes on the media's features (`fusion.models.ridge.ridge_map`) |
    | `content_ridge_recent` | the same, mostly of the last likes |
    | `text_ridge`, ... | the regression on the features of one modality |
    | `text_neighbours`, ... | Φᵀ x, the sum of the features of what the user likes: of its kernels to a candidate |

    The first two leave attributes out, so that where those say nothing, weights of 0 leave no trace of them.

    Φ are the features of the items with a like and K = (Φᵀ Φ + ridge I)⁻¹. With Z = Φ, u · φ predicts x. With Z = Φ +
    smoothing V D Vᵀ Φ it also predicts what the linear autoencoder of the history expects the user to like (Jin et al.
    2021, eq. 9), which matters for users with few likes; V are the principal axes of the likes with singular values s,
    and D = diag(s² / (s² + smoothing ridge)).

    A user without a like is the mean of all likes. C is the number of items with a like.

    Attributes:
        widths: modality → its columns.
        own: float32 [C, p], Φ.
        sources: float32 [C, p], Z.
        kernel: float32 [p_media, p_media], K of the media's columns, which are the first.
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
        media = slice(0, sum(widths[modality] for modality in MEDIA))
        kernels = {m: ridge_map(gram[part, part], ridge=RIDGE).astype(np.float32) for m, part in columns.items()}
        return cls(
            dict(widths),
            features[known],
            (own + SMOOTHING * expected)[known].astype(np.float32),
            ridge_map(gram[media, media], ridge=RIDGE).astype(np.float32),
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
        if not self.own.shape[1]:
            return  # no item has a modality
        past = self._rows(likes, users, decay=None)
        profile = past @ self.sources
        media = slice(0, len(self.kernel))
        if media.stop:
            yield self._part("content_ridge", media, profile[:, media] @ self.kernel, first)
            recent = self._rows(likes, users, decay=RECENT) @ self.sources[:, media]
            yield self._part("content_ridge_recent", media, recent @ self.kernel, first)
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
