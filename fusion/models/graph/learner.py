"""Training of item embeddings through the graph of likes, by Bayesian personalised ranking. TensorFlow is imported only
while fitting."""

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


class EmbeddingLearner:
    """Trains item embeddings, under the name `embeddings`, through the graph (`fusion.training.loop.Learner`).

    TensorFlow differentiates only the loss of the vectors; the propagation is linear, and its part of the gradient is
    a product with the same sparse matrices.

    Args:
        initial: `embeddings` float32 [K, r].
        likes: of items by their row in the embeddings.
        negatives: number of items drawn in a step, above which its likes are to be ranked.
        flattening: negatives are drawn in proportion to their number of likes to this power. With 0 popular items are
            seldom negatives, and so are ranked high for everyone; with 1 popularity is corrected for wholly.
        ridge: weight of the squared embeddings.
    """

    def __init__(
        self,
        initial: Weights,
        structure: "GraphStructure",
        likes: History,
        *,
        config: TrainingConfig,
        negatives: int,
        flattening: float,
        ridge: float,
        seed: int,
    ) -> None:
        self.variables = Variables(initial, config=config, seed=seed)
        self.history, self.n_items = likes, len(initial["embeddings"])
        self._structure, self._negatives, self._ridge = structure, negatives, ridge
        counts = np.bincount(likes.item, minlength=self.n_items).astype(np.float64)
        chance = np.maximum(counts, 1) ** flattening
        self._cumulative = np.cumsum(chance / chance.sum())

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update on B users, with a next like each, and J negatives; returns the mean loss."""
        import tensorflow as tf

        drawn = np.minimum(np.searchsorted(self._cumulative, random.random(self._negatives)), self.n_items - 1)
        liked, past = _one_each(example.targets, random), self._structure.like_weights(example.past)  # [B], [B, K]
        rows, graph = np.concatenate([liked, drawn]), self._structure.graph
        neighbours = self._structure.neighbours[rows]  # [B + J, K]
        embeddings = self.variables.weights()["embeddings"]
        # users [B, r] = past @ messages, items [B + J, r] = neighbours @ final embeddings
        final, messages = graph.item_embeddings(embeddings), graph.messages(embeddings)
        loss, users, items = _gradients(tf.constant(past @ messages), tf.constant(neighbours @ final))
        # back through both products, then through the graph, whose maps are their own adjoints
        gradient = graph.messages(past.T @ users.numpy())
        gradient += graph.item_embeddings(neighbours.T @ items.numpy())
        gradient += np.float32(2 * self._ridge) * embeddings
        self.variables.apply([tf.constant(gradient)])
        return float(loss)


def _gradients(users: Any, items: Any) -> tuple[Any, Any, Any]:
    """The mean of -ln σ(s_ui - s_uj) (Rendle et al. 2009, BPR-Opt) over users u, the next like i of each and all drawn
    items j, and its gradients.

    Args:
        users: [B, r].
        items: [B + J, r], the next like of each user, then the drawn items.
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch([users, items])
        liked = tf.reduce_sum(users * items[: len(users)], axis=1, keepdims=True)  # [B, 1]
        drawn = tf.matmul(users, items[len(users) :], transpose_b=True)  # [B, J]
        loss = tf.reduce_mean(tf.nn.softplus(drawn - liked))
    return loss, *tape.gradient(loss, [users, items])


def _one_each(targets: sp.csr_matrix, random: np.random.Generator) -> NDArray[np.int64]:
    """int64 [B]: a column of each row of CSR [B, N], drawn with its entry as probability; rows sum to 1."""
    # of each entry, the cumulative sum of its row: that of all entries less the 1 of every row before
    cumulative = np.cumsum(targets.data) - np.repeat(np.arange(targets.shape[0]), np.diff(targets.indptr))
    points = random.random(targets.shape[0])
    row = np.repeat(np.arange(targets.shape[0]), np.diff(targets.indptr))
    # the entries below a row's point number the drawn entry; rounding must not take it past the row's last
    below = np.bincount(row, cumulative < points[row], minlength=targets.shape[0]).astype(np.int64)
    entry = np.minimum(targets.indptr[:-1] + below, targets.indptr[1:] - 1)
    return targets.indices[entry].astype(np.int64)


@dataclass(frozen=True)
class GraphStructure:
    """The fixed part of a graph model: how embeddings become the vectors of users and items.

    Attributes:
        graph: the likes.
        neighbours: CSR float32 [K, K], a row an item: itself, and its content neighbours by weight.
        scale: float32 [K], weight of each item in the vector of a user who likes it.
        decay: likes after which a like weighs 1/e in a user's vector.
    """

    graph: "LikeGraph"
    neighbours: sp.csr_matrix
    scale: NDArray[np.float32]
    decay: float

    def like_weights(self, likes: History) -> sp.csr_matrix:
        """CSR float32 [U, K], see `like_weights`."""
        return like_weights(likes, self.scale, decay=self.decay)


def like_weights(likes: History, scale: NDArray[np.float32], *, decay: float) -> sp.csr_matrix:
    """CSR float32 [U, K]: each user's likes as weights that sum to 1, in proportion to the items' `scale` and to
    recency; no entry for a user without a like. Their product with the items' messages is the users' vectors."""
    weights = recency_matrix(likes, len(scale), decay=decay) @ sp.diags(scale)
    sums = np.asarray(weights.sum(axis=1)).ravel()
    return (sp.diags(1 / np.where(sums > 0, sums, 1)) @ weights).tocsr().astype(np.float32)


@dataclass(frozen=True)
class LikeGraph:
    """The bipartite graph of users and items with an edge for each like.

    Attributes:
        edges: CSR float32 [U, K], 1 / sqrt(likes of the user * likes of the item) (He et al. 2020, LightGCN, eq. 3).
        layers: L, number of propagation steps.
    """

    edges: sp.csr_matrix
    layers: int

    @classmethod
    def of(cls, likes: sp.csr_matrix, *, layers: int) -> "LikeGraph":
        """From likes, CSR float32 [U, K] of ones."""
        user, item = (np.asarray(likes.sum(axis=axis)).ravel() for axis in (1, 0))
        roots = [sp.diags(1 / np.sqrt(np.maximum(1, count))) for count in (user, item)]
        return cls((roots[0] @ likes @ roots[1]).tocsr().astype(np.float32), layers)

    def item_embeddings(self, embeddings: Matrix) -> Matrix:
        """float32 [K, r]: (e⁰ + ... + e^L) / (L + 1), the final embeddings of the items, given e⁰.

        A user has no embedding of their own but begins at the sum of their items' messages: with edges A, u⁰ = A e⁰,
        e^(l+1) = A' u^l and u^(l+1) = A e^l (eq. 3, averaged as in eq. 4). This is a polynomial in the symmetric
        matrix A'A, and so its own adjoint: the same map carries gradients back.
        """
        steps = self._steps(embeddings, self.layers)
        return np.sum(steps, axis=0) / np.float32(self.layers + 1)

    def messages(self, embeddings: Matrix) -> Matrix:
        """float32 [K, r]: what an item adds to the final embedding of a user who likes it, before the edge's weight.

        (u⁰ + ... + u^L) / (L + 1) = A (e⁰ + e⁰ + ... + e^(L-1)) / (L + 1); the messages are that without A, and their
        map is its own adjoint too.
        """
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
