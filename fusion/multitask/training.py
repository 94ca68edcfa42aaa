"""Trains the multi-task network with Keras: all tasks in every step, weighted by their uncertainty."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.checkpoint import Checkpoint
from fusion.data import History
from fusion.multitask import network as net
from fusion.multitask.items import Items, Weights
from fusion.profiles import recency_matrix
from fusion.strategies.base import FitLog
from fusion.trainer import Variables
from fusion.training import Candidates, Example, Examples, Recipe, batches, best_epoch, training_identity


@dataclass(frozen=True, kw_only=True)
class TaskRecipe(Recipe):
    """How to train all tasks together.

    Attributes:
        negatives: how much all items that a user did not like weigh together, where what they liked weighs 1.
        ratings_per_step: the most that a step learns from.
    """

    negatives: float
    ratings_per_step: int


def train(
    start: Weights,
    items: Items,
    history: History,
    *,
    recipe: TaskRecipe,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
) -> tuple[Weights, FitLog]:
    """Fits the weights to a history whose ratings are standardised; with `validate`, keeps the best epoch's."""
    network = _Network(start, items, recipe=recipe, seed=seed)
    random = np.random.default_rng(seed)
    examples = Examples(history, len(items))
    candidates = Candidates(history.likes(), len(items), recipe=recipe)

    def epoch() -> tuple[Weights, float]:
        losses = [
            network.step(examples.draw(users, random), candidates=candidates, random=random)
            for users in batches(examples.users, random, recipe=recipe)
        ]
        return network.variables.weights(), float(np.mean(losses))

    checkpoint = None
    if recipe.checkpoint:
        made_from = training_identity(start, history, recipe=recipe, seed=seed)
        checkpoint = Checkpoint(recipe.checkpoint, identity=made_from, trained=network.variables, random=random)
    return best_epoch(epoch, start, recipe=recipe, validate=validate, progress=progress, checkpoint=checkpoint)


@dataclass(frozen=True)
class _Batch:
    """A step's input: B users, the R items that the step speaks of, n ratings.

    Attributes:
        rows: int64 [R], ascending places in the catalog.
        shown: float32 [R, 1 + M].
        past: float32 [decays, B, R], how much each item weighs in each user's profile.
        targets, negatives: float32 [B, R], as in `network.interaction_loss`.
        raters, rated: int64 [n], places among the B users and the R items.
        ratings: float32 [n].
        labels: float32 [R, C], as in `network.category_loss`.
        present: float32 [3], whether the step has anything of each task.
    """

    rows: NDArray[np.int64]
    shown: NDArray[np.float32]
    past: NDArray[np.float32]
    targets: NDArray[np.float32]
    negatives: NDArray[np.float32]
    raters: NDArray[np.int64]
    rated: NDArray[np.int64]
    ratings: NDArray[np.float32]
    labels: NDArray[np.float32]
    present: NDArray[np.float32]


def _batch(
    items: Items, example: Example, *, candidates: Candidates, recipe: TaskRecipe, random: np.random.Generator
) -> _Batch:
    n_items = len(items)
    drawn, log_p = candidates.draw(example.targets, random)
    rated = _sample(example.later.where(~np.isnan(example.later.rating)), recipe.ratings_per_step, random)
    rows = np.unique(np.concatenate([drawn, example.past.item, rated.item]))
    past = np.stack([recency_matrix(example.past, n_items, decay=d)[:, rows].toarray() for d in items.decays])
    targets = example.targets[:, rows].toarray()
    weight = np.zeros(len(rows), np.float32)
    weight[np.searchsorted(rows, drawn)] = recipe.negatives / n_items * np.exp(-log_p)
    hidden = np.array([recipe.item_dropout, *[recipe.modality_dropout] * len(items.content)])
    shown = items.masks[rows] & (random.random((len(rows), len(hidden))) >= hidden)
    labels = items.one_hot(rows) * shown[:, 1:].any(axis=1, keepdims=True)
    return _Batch(
        rows=rows,
        shown=shown.astype(np.float32),
        past=past,
        targets=targets,
        negatives=weight * ((targets == 0) & (past[0] == 0)),
        raters=rated.user.astype(np.int64),
        rated=np.searchsorted(rows, rated.item),
        ratings=rated.rating,
        labels=labels,
        present=np.array([1, len(rated) > 0, labels.any()], np.float32),
    )


def _sample(history: History, most: int, random: np.random.Generator) -> History:
    """At most so many of the rows, drawn without replacement."""
    return history if len(history) <= most else history.where(random.choice(len(history), most, replace=False))


class _Network:
    """All tasks' losses over the weights as Keras variables."""

    def __init__(self, start: Weights, items: Items, *, recipe: TaskRecipe, seed: int) -> None:
        import tensorflow as tf

        self.variables = Variables(start, recipe=recipe, seed=seed)
        self._recipe, self._items = recipe, items
        self._content = {modality: tf.constant(x) for modality, x in items.content.items()}
        self._place = tf.constant(np.where(items.masks[:, 0], items.place, 0))
        self._apply = tf.function(self.variables.apply)

    def step(self, example: Example, *, candidates: Candidates, random: np.random.Generator) -> float:
        """One update; returns the batch's loss.

        The gradients are computed op by op: a compiled graph adds up three or more gradients of a tensor in the order
        in which they happen to be ready (`AddN` takes over whichever input's memory is free), and so not to the same
        bits every time.
        """
        import tensorflow as tf

        batch = _batch(self._items, example, candidates=candidates, recipe=self._recipe, random=random)
        return float(self._update({name: tf.convert_to_tensor(array) for name, array in vars(batch).items()}))

    def _update(self, batch: Mapping[str, Any]) -> Any:
        """The fields of a `_Batch` → loss []."""
        import tensorflow as tf
        from keras import ops

        with tf.GradientTape() as tape:
            loss = net.total_loss(self._losses(batch), self.variables.named["uncertainty"], batch["present"], xp=ops)
        self._apply(self.variables.gradients(tape, loss))
        return loss

    def _losses(self, batch: Mapping[str, Any]) -> Any:
        """[3], one a task; 0 where it has no data."""
        from keras import ops

        weights, rows = self.variables.named, batch["rows"]
        history = ops.take(weights["history"], ops.take(self._place, rows), axis=0)
        content = {modality: ops.take(x, rows, axis=0) for modality, x in self._content.items()}
        items = net.parts(weights, history, content, batch["shown"], xp=ops)
        users = net.users(weights, _profiles(batch["past"], items, batch["shown"]), xp=ops)
        trunk = sum(net.without_bias(items))
        logits = net.interaction(weights, users, items, xp=ops)
        losses = [net.interaction_loss(logits, batch["targets"], batch["negatives"], xp=ops)]
        pairs = (ops.take(users, batch["raters"], axis=0), ops.take(trunk, batch["rated"], axis=0))
        losses.append(net.rating_loss(net.rating(weights, *pairs, xp=ops), batch["ratings"], xp=ops))
        if content and weights["category_bias"].shape[0]:
            guessed = net.category(weights, items, xp=ops)
            losses.append(net.category_loss(guessed, batch["labels"], xp=ops))
        else:
            losses.append(ops.zeros(()))
        return ops.stack(losses)


def _profiles(past: Any, items: list[Any], shown: Any) -> Any:
    """[B, P]: as `fusion.profiles.profiles`, over the step's items and for every decay.

    Args:
        past: [decays, B, R].
        items: the parts of the R items.
        shown: [R, 1 + M].
    """
    from keras import ops

    means = []
    for weights in ops.unstack(past):
        totals = ops.matmul(weights, shown)
        for place, part in enumerate(net.without_bias(items)):
            total = totals[:, place : place + 1]
            means.append(ops.matmul(weights, part) / ops.where(total > 0, total, 1.0))
    return ops.concatenate(means, axis=1)
