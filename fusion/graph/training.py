"""Trains item embeddings through the graph by Bayesian personalised ranking. Needs TensorFlow, and only while
fitting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data import History
from fusion.graph.propagation import Graph, Matrix
from fusion.profiles import recency_matrix
from fusion.strategies.base import FitLog
from fusion.trainer import Weights
from fusion.training import Examples, Recipe, batches, best_epoch


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


def train(
    start: Matrix,
    wiring: Wiring,
    likes: History,
    *,
    recipe: Recipe,
    negatives: int,
    flattening: float,
    ridge: float,
    seed: int,
    validate: Callable[[Matrix], float] | None,
    progress: bool,
) -> tuple[Matrix, FitLog]:
    """Fits the embeddings; with `validate`, keeps those of the best epoch.

    Args:
        start: float32 [K, r].
        likes: places of items are rows of `start`.
        negatives: items drawn a step that its likes are to be ranked above.
        flattening: they are drawn in proportion to their likes to this power. With 0 popular items are seldom drawn and
            so end up high for everyone; with 1 popularity is corrected for wholly.
        ridge: weight of the squared embeddings.
    """
    random = np.random.default_rng(seed)
    examples = Examples(likes, len(start))
    counts = np.bincount(likes.item, minlength=len(start)).astype(np.float64)
    chance = np.maximum(counts, 1) ** flattening
    drawing = np.cumsum(chance / chance.sum())
    model = _Model(start, recipe=recipe, ridge=ridge, seed=seed)

    def epoch() -> tuple[Weights, float]:
        losses = []
        for users in batches(examples.users, random, recipe=recipe):
            example = examples.draw(users, random)
            drawn = np.minimum(np.searchsorted(drawing, random.random(negatives)), len(start) - 1)
            liked = _one_each(example.targets, random)
            losses.append(model.step(wiring, wiring.readers(example.past), liked, drawn))
        return {"embeddings": model.embeddings()}, float(np.mean(losses))

    judge = None if validate is None else lambda weights: validate(weights["embeddings"])
    best, log = best_epoch(epoch, {"embeddings": start}, recipe=recipe, validate=judge, progress=progress)
    return best["embeddings"], log


class _Model:
    """The embeddings as a Keras variable under Adam; the graph's part of a gradient is the graph itself."""

    def __init__(self, start: Matrix, *, recipe: Recipe, ridge: float, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self._ridge = ridge
        self._variable = keras.Variable(start)
        self._optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self._optimizer.build([self._variable])

    def embeddings(self) -> Matrix:
        return np.array(self._variable.numpy())

    def step(self, wiring: Wiring, readers: sp.csr_matrix, liked: NDArray[np.int64], drawn: NDArray[np.int64]) -> float:
        """One update for users who read their vectors off their likes, CSR [B, K], and like `liked` [B] next, against
        the items `drawn` [J]; returns the mean loss."""
        import tensorflow as tf

        own = self.embeddings()
        finals, read = wiring.graph.items(own), wiring.graph.read_out(own)
        rows = np.concatenate([liked, drawn])
        loss, users, items = _gradients(tf.constant(readers @ read), tf.constant(wiring.near[rows] @ finals))
        back = wiring.graph.read_out(readers.T @ users.numpy())
        back += wiring.graph.items(wiring.near[rows].T @ items.numpy())
        back += np.float32(2 * self._ridge) * own
        self._optimizer.apply([tf.constant(back)], [self._variable])
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
