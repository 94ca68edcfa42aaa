"""Features of a modality whose dot products approximate a kernel, for linear models that are to use that kernel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

MAX_LANDMARKS = 2048
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class KernelFeatures:
    """x → φ(x), where φ(x) · φ(y) is close to a kernel of x and y, centred over the landmarks: kernel principal
    components (Schölkopf, Smola and Müller 1998) found on landmarks (Williams and Seeger 2001).

    k(x, y) = 2^(degree - 1) ((1 + cos(x', y')) / 2)^degree + terms_gain cos(t_x, t_y), where x' is the vector
    standardised by column and t the TF-IDF of an item's terms. A higher degree separates near vectors from less near
    ones more strongly.

    Attributes:
        mean, scale: float32 [d]; a column that never varied has scale infinity, and so becomes 0.
        landmarks: float32 [m, d], standardised, of length 1.
        terms: the TF-IDF weighting; None where there are no terms.
        landmark_terms: CSR float32 [m, v]; None where there are no terms.
        level: float32 [m], the kernel's mean over the landmarks.
        axes: float32 [m, p].
    """

    degree: int
    terms_gain: float
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    terms: "TfIdf | None"
    landmark_terms: sp.csr_matrix | None
    level: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        vectors: NDArray[np.float32],
        counts: sp.csr_matrix | None = None,
        *,
        degree: int,
        dims: int,
        terms_gain: float,
        seed: int,
    ) -> Self:
        """Fits the standardisation, the terms and the axes on rows that all have the modality; without a row, p is 0.

        Args:
            vectors: float32 [n, d].
            counts: CSR [n, terms], how often each item has each term.
            dims: p is the least of this and the number of directions that vary.
            seed: draws the landmarks where there are more than `MAX_LANDMARKS` rows.
        """
        if not len(vectors):
            none, width = np.zeros(0, np.float32), vectors.shape[1]
            nothing = np.zeros((0, width), np.float32)
            return cls(
                degree, terms_gain, nothing.sum(axis=0), nothing.sum(axis=0), nothing, None, None, none, nothing[:, :0]
            )
        rows = np.arange(len(vectors))
        if len(rows) > MAX_LANDMARKS:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_LANDMARKS, replace=False))
        mean, deviation = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 1e-6 * np.maximum(1e-6, np.abs(mean)), deviation, np.inf)
        # standardisation and terms are of all rows, the axes of the landmarks alone
        unfitted = cls(
            degree,
            terms_gain,
            mean.astype(np.float32),
            scale.astype(np.float32),
            np.zeros((0, vectors.shape[1]), np.float32),
            TfIdf.fit(counts) if counts is not None and counts.nnz else None,
            None,
            np.zeros(0, np.float32),
            np.zeros((0, 0), np.float32),
        )
        return unfitted._with_landmarks(vectors[rows], None if counts is None else counts[rows], dims=dims)

    def _with_landmarks(self, vectors: NDArray[np.float32], counts: sp.csr_matrix | None, *, dims: int) -> Self:
        """The features with the axes of these landmarks, [m, d], and their terms' counts."""
        from sklearn.decomposition import KernelPCA

        landmarks = self._standardised(vectors)
        terms = self.terms(counts) if self.terms is not None else None
        kernel = self._kernel(landmarks, terms, landmarks, terms)
        found = KernelPCA(dims, kernel="precomputed", eigen_solver="dense").fit(kernel)
        # eigenvectors over the roots of their eigenvalues: a centred kernel row times an axis is a component
        values = found.eigenvalues_
        kept = values > 1e-6 * max(values.max(), 1e-12)
        axes = (found.eigenvectors_[:, kept] / np.sqrt(values[kept])).astype(np.float32)
        level = kernel.mean(axis=0)
        arrays = (self.degree, self.terms_gain, self.mean, self.scale, landmarks, self.terms, terms)
        return type(self)(*arrays, level.astype(np.float32), axes)

    @property
    def dims(self) -> int:
        return self.axes.shape[1]

    def __call__(
        self, vectors: NDArray[np.float32], mask: NDArray[np.bool_], counts: sp.csr_matrix | None = None
    ) -> NDArray[np.float32]:
        """float32 [N, p]; rows where the mask is False are exactly 0.

        Raises:
            ValueError: the vectors are of another width than those fitted.
        """
        features = np.zeros((len(mask), self.dims), np.float32)
        rows = np.nonzero(mask)[0]
        if not self.dims or not len(rows):
            return features
        if vectors.shape[1:] != self.mean.shape:
            raise ValueError(f"vectors of shape {vectors.shape}: expected [N, {len(self.mean)}], as fitted")
        for start in range(0, len(rows), ROWS_AT_ONCE):
            here = rows[start : start + ROWS_AT_ONCE]
            terms = self.terms(counts[here]) if self.terms is not None and counts is not None else None
            kernel = self._kernel(self._standardised(vectors[here]), terms, self.landmarks, self.landmark_terms)
            # centred in feature space: k [n, m] less the means of its columns and rows, plus the mean of all
            centred = kernel - self.level - kernel.mean(axis=1, keepdims=True) + self.level.mean()
            features[here] = centred @ self.axes
        return features

    def _standardised(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of length 1, or of zeros."""
        rows = (vectors - self.mean) / self.scale
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(length > 0, length, 1)).astype(np.float32)

    def _kernel(
        self, x: NDArray[np.float32], x_terms: Any, y: NDArray[np.float32], y_terms: Any
    ) -> NDArray[np.float64]:
        """[n, m]. In double precision: the last axes amplify rounding errors of the kernel, and those depend on the
        machine and on which rows are multiplied together."""
        kernel = 2.0 ** (self.degree - 1) * ((1 + x.astype(np.float64) @ y.T.astype(np.float64)) / 2) ** self.degree
        if x_terms is not None and y_terms is not None:
            kernel += self.terms_gain * (x_terms @ y_terms.T).toarray()
        return kernel

    def state(self) -> dict[str, NDArray[Any]]:
        arrays = {"form": np.array([self.degree, self.terms_gain]), "mean": self.mean, "scale": self.scale}
        arrays |= {"landmarks": self.landmarks, "level": self.level, "axes": self.axes}
        if self.terms is not None and self.landmark_terms is not None:
            csr = self.landmark_terms
            arrays |= {"vocabulary": self.terms.vocabulary, "idf": self.terms.idf}
            arrays |= {"terms/data": csr.data, "terms/indices": csr.indices, "terms/indptr": csr.indptr}
        return arrays

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `state`."""
        terms = landmark_terms = None
        if "vocabulary" in state:
            terms = TfIdf(state["vocabulary"], state["idf"])
            csr = (state["terms/data"], state["terms/indices"], state["terms/indptr"])
            landmark_terms = sp.csr_matrix(csr, (len(state["landmarks"]), len(terms.vocabulary)))
        degree, gain = state["form"]
        arrays = (state["mean"], state["scale"], state["landmarks"], terms, landmark_terms)
        return cls(int(degree), float(gain), *arrays, state["level"], state["axes"])


@dataclass(frozen=True)
class TfIdf:
    """TF-IDF of hashed terms: (1 + ln tf) (1 + ln((1 + n) / (1 + df))), rows of length 1 (Salton and Buckley 1988).

    Attributes:
        vocabulary: int64 [v], the terms that the fitted items have, ascending.
        idf: float32 [v].
    """

    vocabulary: NDArray[np.int64]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, counts: sp.csr_matrix) -> Self:
        """From counts, CSR [n, terms]."""
        vocabulary = np.unique(counts.indices).astype(np.int64)
        return cls(vocabulary, _transformer().fit(counts[:, vocabulary].astype(np.float64)).idf_.astype(np.float32))

    def __call__(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """CSR float32 [n, v]; terms that were not fitted are ignored."""
        transformer = _transformer()
        transformer.idf_ = self.idf
        return transformer.transform(counts[:, self.vocabulary].tocsr().astype(np.float32))


def _transformer() -> Any:
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True)
