"""Training of named weights with Keras. TensorFlow is imported while fitting only."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.training.trainer import deterministic

MIN_STEPS = 6
"""Least steps of an epoch: after fewer, the held-out figure has hardly changed."""
Weights = dict[str, NDArray[np.float32]]
Batch = Mapping[str, Any]
Loss = Callable[[Mapping[str, Any], Batch], Any]
"""(weights, batch) → scalar, in `keras.ops`."""


@dataclass(frozen=True)
class TranslatorConfig:
    """How to train.

    Attributes:
        epochs: most epochs.
        patience: epochs without a better held-out figure before stopping.
        batch_size: items a step.
        learning_rate: of Adam (Kingma and Ba 2015).
        held_out: share of the items that is held out for early stopping.

    Raises:
        ValueError: an attribute is out of its range.
    """

    epochs: int = 60
    patience: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.patience < 1 or self.batch_size < 1:
            raise ValueError(f"{self}: expected epochs of 0 or more, patience and batch_size of 1 or more")
        if not (self.learning_rate > 0 and 0 < self.held_out < 1):
            raise ValueError(f"{self}: expected a learning_rate above 0 and a held_out share between 0 and 1")


def train(
    start: Weights,
    loss: Loss,
    *,
    draw: Callable[[np.random.Generator], Iterable[Mapping[str, NDArray[Any]]]],
    figure: Callable[[Weights], float],
    config: TranslatorConfig,
    seed: int,
) -> Weights:
    """The weights with the lowest held-out figure of all epochs and the start; ties go to the earlier epoch. The same
    arguments on the same machine give bitwise equal weights.

    Args:
        loss: minimised by the steps.
        draw: returns the batches of an epoch.
        figure: the loss on held-out items, lower is better.
    """
    if not config.epochs:
        return start
    learner = _Learner(start, loss, config=config, seed=seed)
    random = np.random.default_rng(seed)
    best, lowest, best_at = start, figure(start), 0
    for epoch in range(1, config.epochs + 1):
        for batch in draw(random):
            learner.step(batch)
        weights = learner.weights()
        found = figure(weights)
        if found < lowest:
            best, lowest, best_at = weights, found, epoch
        if epoch - best_at >= config.patience:
            break
    return best


def shuffled(n: int, random: np.random.Generator, *, size: int) -> Iterable[NDArray[np.int64]]:
    """An epoch's batches: the n rows in random order, in batches of about equal size, none above `size`, repeated in
    another order until there are `MIN_STEPS`. No batch for a single row, which has nothing to be compared with."""
    if n > 1:
        parts = -(-n // max(2, size))
        for _ in range(-(-MIN_STEPS // parts)):
            yield from np.array_split(random.permutation(n), parts)


class _Learner:
    """The weights as Keras variables, and the Adam optimiser that updates them."""

    def __init__(self, start: Weights, loss: Loss, *, config: TranslatorConfig, seed: int) -> None:
        import keras
        import tensorflow as tf

        deterministic(seed)
        self._loss = loss
        self._named = {name: keras.Variable(array) for name, array in start.items()}
        self._variables = list(self._named.values())
        optimizer = keras.optimizers.Adam(config.learning_rate)
        optimizer.build(self._variables)
        self._apply = tf.function(lambda gradients: optimizer.apply(gradients, self._variables))

    def weights(self) -> Weights:
        return {name: variable.numpy().copy() for name, variable in self._named.items()}

    def step(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """One step of Adam. Gradients are computed eagerly, as in `fusion.models.multitask.learner`, so that they are
        bitwise reproducible; only Adam is compiled."""
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(array) for name, array in batch.items()}
        with tf.GradientTape() as tape:
            loss = self._loss(self._named, tensors)
        self._apply(tape.gradient(loss, self._variables))
