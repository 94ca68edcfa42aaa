"""Teaches item embeddings through the graph by Bayesian personalised ranking. Needs TensorFlow, and only while
fitting."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.data.history_features import recency_matrix
from fusion.training.config import TrainingConfig
from fusion.training.examples import Example
from fusion.training.trainer import Variables, Weights

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


@dataclass(frozen=True)
class Wiring:
    """How embeddings become scores: a user's vector times what an item is and what its neighbours are.

    Attributes:
        graph: who likes what.
        near: CSR float32 [K, K], a row an item: itself, and its content neighbours by weight.
        scale: float32 [K], how much each item counts in the vector of a user who likes it.
        decay: likes after which a like weighs 1/e in a user's vector.
    """

    graph: Graph
    near: sp.csr_matrix
    scale: NDArray[np.float32]
    decay: float

    def readers(self, likes: History) -> sp.csr_matrix:
        """CSR float32 [U, K], see `read_weights`."""
        return read_weights(likes, self.scale, decay=self.decay)


def read_weights(likes: History, scale: NDArray[np.float32], *, decay: float) -> sp.csr_matrix:
    """CSR float32 [U, K]: each user's likes as weights that sum to 1, in proportion to the items' `scale` and to
    recency; no entry for a user without a like."""
    weights = recency_matrix(likes, len(scale), decay=decay) @ sp.diags(scale)
    sums = np.asarray(weights.sum(axis=1)).ravel()
    return (sp.diags(1 / np.where(sums > 0, sums, 1)) @ weights).tocsr().astype(np.float32)


class Embeddings:
    """Teaches item embeddings, under the name `embeddings`, through the graph (`fusion.training.loop.Learner`); the
    graph's part of a gradient is the graph itself.

    Args:
        start: `embeddings` float32 [K, r].
        likes: places of items are rows of the embeddings.
        negatives: items drawn a step that its likes are to be ranked above.
        flattening: they are drawn in proportion to their likes to this power. With 0 popular items are seldom drawn and
            so end up high for everyone; with 1 popularity is corrected for wholly.
        ridge: weight of the squared embeddings.
    """

    def __init__(
        self,
        start: Weights,
        wiring: Wiring,
        likes: History,
        *,
        config: TrainingConfig,
        negatives: int,
        flattening: float,
        ridge: float,
        seed: int,
    ) -> None:
        self.variables = Variables(start, config=config, seed=seed)
        self.history, self.n_items = likes, len(start["embeddings"])
        self._wiring, self._negatives, self._ridge = wiring, negatives, ridge
        counts = np.bincount(likes.item, minlength=self.n_items).astype(np.float64)
        chance = np.maximum(counts, 1) ** flattening
        self._drawing = np.cumsum(chance / chance.sum())

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update for users who read their vectors off their likes and like an item next, against items drawn;
        returns the mean loss."""
        import tensorflow as tf

        drawn = np.minimum(np.searchsorted(self._drawing, random.random(self._negatives)), self.n_items - 1)
        liked, readers = _one_each(example.targets, random), self._wiring.readers(example.past)
        rows, graph, near = np.concatenate([liked, drawn]), self._wiring.graph, self._wiring.near
        own = self.variables.weights()["embeddings"]
        finals, read = graph.items(own), graph.read_out(own)
        loss, users, items = _gradients(tf.constant(readers @ read), tf.constant(near[rows] @ finals))
        back = graph.read_out(readers.T @ users.numpy())
        back += graph.items(near[rows].T @ items.numpy())
        back += np.float32(2 * self._ridge) * own
        self.variables.apply([tf.constant(back)])
        return float(loss)


def _gradients(users: Any, items: Any) -> tuple[Any, Any, Any]:
    """The mean of -ln σ(s_ui - s_uj) (Rendle et al. 2009, BPR-Opt) over users u, the next like i of each and all drawn
    items j, for vectors [B, r] and [B + J, r] with the next likes first; and its gradients."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch([users, items])
        liked = tf.reduce_sum(users * items[: len(users)], axis=1, keepdims=True)
        drawn = tf.matmul(users, items[len(users) :], transpose_b=True)
        loss = tf.reduce_mean(tf.nn.softplus(drawn - liked))
    return loss, *tape.gradient(loss, [users, items])


def _one_each(targets: sp.csr_matrix, random: np.random.Generator) -> NDArray[np.int64]:
    """int64 [B]: a column of each row, by its share of the row."""
    reached = np.cumsum(targets.data) - np.repeat(np.arange(targets.shape[0]), np.diff(targets.indptr))
    wanted = random.random(targets.shape[0])
    row = np.repeat(np.arange(targets.shape[0]), np.diff(targets.indptr))
    passed = np.bincount(row, reached < wanted[row], minlength=targets.shape[0]).astype(np.int64)
    place = np.minimum(targets.indptr[:-1] + passed, targets.indptr[1:] - 1)
    return targets.indices[place].astype(np.int64)
