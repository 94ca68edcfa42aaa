"""Trains the linear two-tower model with Keras. Only this file and `fusion.multitask.training` need TensorFlow, and
only while fitting."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm import tqdm

from fusion.data import History
from fusion.profiles import mapped_profiles, profiles, recency_matrix
from fusion.strategies.base import FitLog

HORIZON = 0.25
"""A training example's targets are the next so much of the user's likes after a random moment, at least one."""
Weights = TypeVar("Weights")


@dataclass(frozen=True)
class Towers:
    """The weights. With r history columns (the last is the item's bias) and c_m content columns, D = r + sum of c_m.

    Attributes:
        user_kernel: float32 [P, D], profile → user vector.
        user_bias: float32 [D], the vector of a user without a like.
        item_history: float32 [N, r]; a row counts only where `known`.
        item_content: float32 [p_m, c_m] a modality.
    """

    user_kernel: NDArray[np.float32]
    user_bias: NDArray[np.float32]
    item_history: NDArray[np.float32]
    item_content: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Items:
    """What is given of every item: its projected modalities, whether its likes speak, and what a like of it tells.

    Attributes:
        content: float32 [N, p_m] a modality, 0 where missing.
        known: bool [N].
        sources: float32 [N, d_s] a source of the user profile, with `source_masks` bool [N] each.
        decays: the recency decays under which the profile repeats the sources.
    """

    content: tuple[NDArray[np.float32], ...]
    known: NDArray[np.bool_]
    sources: tuple[NDArray[np.float32], ...]
    source_masks: tuple[NDArray[np.bool_], ...]
    decays: tuple[float | None, ...]

    def profiles(self, likes: History) -> NDArray[np.float32]:
        """float32 [U, P]: the user tower's input."""
        n = len(self.known)
        each = (recency_matrix(likes, n, decay=decay) for decay in self.decays)
        return np.hstack([profiles(weights, self.sources, self.source_masks) for weights in each])

    def user_vectors(self, likes: History, towers: Towers, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], computed in bounded blocks of users."""
        return mapped_profiles(
            likes,
            self.sources,
            self.source_masks,
            decays=self.decays,
            kernel=towers.user_kernel,
            bias=towers.user_bias,
            users=users,
        )

    def item_vectors(self, towers: Towers) -> NDArray[np.float32]:
        """float32 [N, D], the history columns 0 where the item is not known."""
        history = np.where(self.known[:, None], towers.item_history, 0)
        content = (x @ kernel for x, kernel in zip(self.content, towers.item_content, strict=True))
        return np.hstack([history, *content]).astype(np.float32)


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: the most there may be.
        patience: epochs without a better validation figure before stopping.
        item_dropout: share of known items that a step shows by content alone (Volkovs et al. 2017, DropoutNet).
        items_per_step: the softmax runs over the whole catalog up to this size, beyond it over the batch's targets and
            so many items drawn uniformly.
        steps_per_epoch: the least and the most there may be; an epoch between them visits every user once.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    item_dropout: float
    items_per_step: int
    steps_per_epoch: tuple[int, int]


@dataclass(frozen=True)
class Example:
    """Users at a moment each; row i of the histories and of `targets` is of the i-th of them.

    Attributes:
        past: their likes before the moment.
        targets: CSR float32 [B, N], the likes that came next, every row summing to 1.
        later: everything from the moment on, likes or not.
    """

    past: History
    targets: sp.csr_matrix
    later: History


class Examples:
    """Draws training examples: a user's likes up to a random moment, and what followed."""

    def __init__(self, history: History, n_items: int) -> None:
        self._rows = history.where(np.lexsort((history.item, history.timestamp, history.user)))
        self._like_rows = np.nonzero(self._rows.weight > 0)[0]
        self._likes = self._rows.where(self._like_rows)
        self._count = np.bincount(self._likes.user, minlength=len(history.user_ids))
        self._first = np.cumsum(self._count) - self._count
        self._end = np.cumsum(np.bincount(history.user, minlength=len(history.user_ids)))
        self._n_items = n_items
        self.users = np.nonzero(self._count)[0]

    def draw(self, users: NDArray[np.int64], random: np.random.Generator) -> Example:
        """Each of `users` at a moment uniform over their likes, so that an example may start from nothing."""
        count = self._count[users]
        cut = random.integers(0, count)
        ahead = np.minimum(np.maximum(1, (HORIZON * count).astype(np.int64)), count - cut)
        given, owner = _ranges(self._first[users], cut)
        past = _of(users, owner, self._likes.where(given))
        moment = self._like_rows[self._first[users] + cut]
        after, owner = _ranges(moment, self._end[users] - moment)
        later = _of(users, owner, self._rows.where(after))
        wanted, row = _ranges(self._first[users] + cut, ahead)
        weight = self._likes.weight[wanted]
        share = weight / np.bincount(row, weight, minlength=len(users))[row]
        shape = (len(users), self._n_items)
        targets = sp.csr_matrix((share.astype(np.float32), (row, self._likes.item[wanted])), shape=shape)
        return Example(past, targets, later)


def _of(users: NDArray[np.int64], owner: NDArray[np.int64], rows: History) -> History:
    """`rows` as a history of `users` alone, row i belonging to the user at place `owner[i]`."""
    return replace(rows, user_ids=users.astype(np.str_), user=owner.astype(np.int32))


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers first_i, first_i + 1, ... of every range, one after another, and which range each is of."""
    owner = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length
    return np.arange(len(owner)) - start[owner] + first[owner], owner


class Candidates:
    """Which items a step's softmax runs over, and the log of the chance that each was among them.

    A uniform sample beside the batch's own targets: an item is among them with probability
    p = 1 - (1 - sampled/N) e^(-expected count as a target). Adding -log p to its logit in the partition function alone
    keeps that sum unbiased (Horvitz and Thompson 1952; the logQ correction of Bengio and Senécal 2008).
    """

    def __init__(self, likes: History, n_items: int, *, recipe: Recipe) -> None:
        self._all = np.arange(n_items)
        self._sampled = min(n_items, recipe.items_per_step)
        users = max(1, len(np.unique(likes.user)))
        expected = np.bincount(likes.item, minlength=n_items) * HORIZON * min(1.0, recipe.batch_size / users)
        self._log_p = np.log(1 - (1 - self._sampled / n_items) * np.exp(-expected)).astype(np.float32)

    def draw(
        self, targets: sp.csr_matrix, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """int64 [C] rows, ascending, and float32 [C] log-probabilities."""
        if self._sampled == len(self._all):
            return self._all, np.zeros(len(self._all), np.float32)
        drawn = random.choice(len(self._all), self._sampled, replace=False)
        rows = np.union1d(drawn, targets.indices)
        return rows, self._log_p[rows]


def train(
    start: Towers,
    items: Items,
    likes: History,
    *,
    recipe: Recipe,
    seed: int,
    validate: Callable[[Towers], float] | None,
    progress: bool,
) -> tuple[Towers, FitLog]:
    """Fits the towers by softmax cross-entropy; with `validate`, keeps the weights of the best epoch."""
    model = _Model(start, items, recipe=recipe, seed=seed)
    random = np.random.default_rng(seed)
    examples = Examples(likes, len(items.known))
    candidates = Candidates(likes, len(items.known), recipe=recipe)

    def epoch() -> tuple[Towers, float]:
        losses = [
            model.step(items, examples.draw(users, random), candidates=candidates, random=random)
            for users in batches(examples.users, random, recipe=recipe)
        ]
        return model.towers(), float(np.mean(losses))

    return best_epoch(epoch, start, recipe=recipe, validate=validate, progress=progress)


def best_epoch(
    run: Callable[[], tuple[Weights, float]],
    start: Weights,
    *,
    recipe: Recipe,
    validate: Callable[[Weights], float] | None,
    progress: bool,
) -> tuple[Weights, FitLog]:
    """Runs epochs, each of which gives the weights after it and its loss, and keeps the weights that validate best,
    those at the start among them; without `validate`, the last."""
    began = time.monotonic()
    best, best_at, history = start, 0, [] if validate is None else [validate(start)]
    bar = tqdm(range(1, recipe.epochs + 1), desc="train", unit="epoch", disable=not progress)
    epoch = 0
    for epoch in bar:
        weights, loss = run()
        shown = {"loss": f"{loss:.4f}"}
        if validate is None:
            best, best_at = weights, epoch
        else:
            history.append(validate(weights))
            shown["ndcg"] = f"{history[-1]:.4f}"
            if history[-1] > max(history[:-1]):
                best, best_at = weights, epoch
        bar.set_postfix(shown)
        if validate is not None and epoch - best_at >= recipe.patience:
            break
    return best, FitLog(epoch, best_at, time.monotonic() - began, history[1:])


def batches(users: NDArray[np.int64], random: np.random.Generator, *, recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Users in random order, every one once before any twice."""
    least, most = recipe.steps_per_epoch
    steps = min(most, max(least, -(-len(users) // recipe.batch_size)))
    rounds = -(-steps * recipe.batch_size // len(users))
    shuffled = np.concatenate([random.permutation(users) for _ in range(rounds)])
    for step in range(steps):
        yield shuffled[step * recipe.batch_size : (step + 1) * recipe.batch_size]


class _Model:
    """The towers as Keras variables under Adam."""

    def __init__(self, start: Towers, items: Items, *, recipe: Recipe, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self._recipe = recipe
        self._known = items.known
        self._content = [tf.constant(part) for part in items.content]
        self._kernel = keras.Variable(start.user_kernel)
        self._bias = keras.Variable(start.user_bias)
        self._history = keras.Variable(start.item_history)
        self._projections = [keras.Variable(kernel) for kernel in start.item_content]
        self._variables = [self._kernel, self._bias, self._history, *self._projections]
        self._optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self._optimizer.build(self._variables)
        self._compiled = tf.function(self._update, reduce_retracing=True)

    def towers(self) -> Towers:
        kernel, bias, history, *content = (variable.numpy().copy() for variable in self._variables)
        return Towers(kernel, bias, history, tuple(content))

    def step(
        self,
        items: Items,
        example: Example,
        *,
        candidates: Candidates,
        random: np.random.Generator,
    ) -> float:
        """One update; returns the batch's mean loss."""
        import tensorflow as tf

        rows, log_p = candidates.draw(example.targets, random)
        shown = self._known[rows] & (random.random(len(rows)) >= self._recipe.item_dropout)
        arrays = (
            items.profiles(example.past),
            example.targets[:, rows].toarray(),
            rows,
            log_p,
            shown.astype(np.float32),
        )
        return float(self._compiled(*(tf.convert_to_tensor(array) for array in arrays)))

    def _update(self, profile: Any, targets: Any, rows: Any, log_p: Any, shown: Any) -> Any:
        """profile [B, P], targets [B, C] summing to 1 a row, rows [C], log_p [C], shown [C] → mean loss []."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            blocks = [tf.gather(self._history, rows) * shown[:, None]]
            blocks += [tf.gather(x, rows) @ w for x, w in zip(self._content, self._projections, strict=True)]
            logits = tf.matmul(profile @ self._kernel + self._bias, tf.concat(blocks, axis=1), transpose_b=True)
            partition = tf.reduce_logsumexp(logits - log_p, axis=1)
            loss = tf.reduce_mean(partition - tf.reduce_sum(targets * logits, axis=1))
        self._optimizer.apply(tape.gradient(loss, self._variables), self._variables)
        return loss
