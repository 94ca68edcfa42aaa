"""Trains the sequence tower by softmax cross-entropy over what users liked next. Needs TensorFlow, and only while
fitting."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data import History
from fusion.sequence.items import Items
from fusion.sequence.tower import READERS, Sequences, Weights, read, sequences
from fusion.strategies.base import FitLog
from fusion.training import Candidates, Examples, Recipe, batches, best_epoch
from schemas.table import MODALITIES


def train(
    start: Weights,
    items: Items,
    likes: History,
    *,
    recipe: Recipe,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
) -> tuple[Weights, FitLog]:
    """Fits the weights; with `validate`, keeps those of the best epoch."""
    random = np.random.default_rng(seed)
    examples = Examples(likes, len(items.known))
    candidates = Candidates(likes, len(items.known), recipe=recipe)
    model = _Model(start, items, recipe=recipe, seed=seed)

    def epoch() -> tuple[Weights, float]:
        losses = []
        for users in batches(examples.users, random, recipe=recipe):
            example = examples.draw(users, random)
            rows, log_p = candidates.draw(example.targets, random)
            shown = items.known[rows] & (random.random(len(rows)) >= recipe.item_dropout)
            past = sequences(example.past, start["place"].shape[1], users=np.arange(len(users)))
            losses.append(model.step(past, example.targets[:, rows].toarray(), rows, log_p, shown))
        return model.weights(), float(np.mean(losses))

    return best_epoch(epoch, start, recipe=recipe, validate=validate, progress=progress)


class _Model:
    """The weights as Keras variables under Adam."""

    def __init__(self, start: Weights, items: Items, *, recipe: Recipe, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self._items = items
        self._content = {m: tf.constant(part) for m, part in items.content.items()}
        self._variables = {name: keras.Variable(array) for name, array in start.items()}
        self._optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self._optimizer.build(list(self._variables.values()))
        self._compiled = tf.function(self._update, reduce_retracing=True)

    def weights(self) -> Weights:
        return {name: variable.numpy().copy() for name, variable in self._variables.items()}

    def step(
        self,
        past: Sequences,
        targets: NDArray[np.float32],
        rows: NDArray[np.int64],
        log_p: NDArray[np.float32],
        shown: NDArray[np.bool_],
    ) -> float:
        """One update; returns the batch's mean loss. See `_update` for the shapes."""
        import tensorflow as tf

        sources, masks = self._items.read(past)
        arrays = (sources, masks, past.weights, targets, rows, log_p, shown.astype(np.float32))
        return float(self._compiled(*(tf.convert_to_tensor(array) for array in arrays)))

    def _update(self, sources: Any, masks: Any, weights: Any, targets: Any, rows: Any, log_p: Any, shown: Any) -> Any:
        """sources [B, n, P], masks [B, n, S], weights [B, n], targets [B, C] summing to 1 a row, rows [C], log_p [C],
        shown [C] → mean loss []."""
        import keras
        import tensorflow as tf

        given = self._variables
        with tf.GradientTape() as tape:
            readers = {name: tf.convert_to_tensor(given[name]) for name in READERS}
            users = read(readers, sources, masks, weights, widths=self._items.widths, xp=keras.ops)
            blocks = [tf.gather(given["history"], rows) * shown[:, None]]
            blocks += [tf.gather(self._content[m], rows) @ given[m] for m in MODALITIES]
            logits = tf.matmul(users, tf.concat(blocks, axis=1), transpose_b=True)
            partition = tf.reduce_logsumexp(logits - log_p, axis=1)
            loss = tf.reduce_mean(partition - tf.reduce_sum(targets * logits, axis=1))
        variables = list(given.values())
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss
