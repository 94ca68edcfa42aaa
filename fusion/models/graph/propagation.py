"""Light graph convolution over who likes what: embeddings averaged over steps along the edges."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Graph:
    """Users and items with an edge a like.

    Attributes:
        edges: CSR float32 [U, K], 1 / sqrt(likes of the user * likes of the item) (He et al. 2020, LightGCN, eq. 3).
        layers: how many steps embeddings go.
    """

    edges: sp.csr_matrix
    layers: int

    @classmethod
    def of(cls, likes: sp.csr_matrix, *, layers: int) -> "Graph":
        """From likes, CSR float32 [U, K] of ones."""
        user, item = (np.asarray(likes.sum(axis=axis)).ravel() for axis in (1, 0))
        roots = [sp.diags(1 / np.sqrt(np.maximum(1, count))) for count in (user, item)]
        return cls((roots[0] @ likes @ roots[1]).tocsr().astype(np.float32), layers)

    def items(self, embeddings: Matrix) -> Matrix:
        """float32 [K, r]: (e⁰ + ... + e^L) / (L + 1), the final embeddings of items whose own are e⁰.

        A user has no embedding of their own but begins at what their items give: with edges A, u⁰ = A e⁰,
        e^(l+1) = A' u^l and u^(l+1) = A e^l (eq. 3, averaged as eq. 4 does). This is a polynomial in the symmetric
        matrix A'A, and so its own adjoint: it carries gradients back as well.
        """
        steps = self._steps(embeddings, self.layers)
        return np.sum(steps, axis=0) / np.float32(self.layers + 1)

    def read_out(self, embeddings: Matrix) -> Matrix:
        """float32 [K, r]: what an item gives to the final embedding of whoever likes it, (u⁰ + ... + u^L) / (L + 1) =
        A (e⁰ + e⁰ + ... + e^(L-1)) / (L + 1), before the edge's weight; its own adjoint too."""
        steps = self._steps(embeddings, self.layers - 1) if self.layers else []
        return np.sum([embeddings, *steps], axis=0) / np.float32(self.layers + 1)

    def _steps(self, embeddings: Matrix, last: int) -> list[Matrix]:
        """e⁰, ..., e^last."""
        steps = [embeddings]
        users = self.edges @ embeddings
        for _ in range(last):
            following = self.edges.T @ users
            users = self.edges @ steps[-1]
            steps.append(following)
        return steps
