"""Training of the multi-task network with Keras: all tasks in every step, weighted by their uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix
from fusion.data.history_features import recency_matrix
from fusion.models.multitask import network as net
from fusion.models.multitask.network import MultitaskItems
from fusion.training.config import TrainingConfig
from fusion.training.examples import Candidates, Example
from fusion.training.trainer import Variables, Weights, tensors

MAX_USERS = 256
"""The validation losses of the interaction and rating heads are over at most so many users, the first ones."""


class MultitaskLearner:
    """All tasks' losses over the weights as Keras variables (`fusion.training.loop.Learner`).

    Args:
        history: its ratings are standardised.
        negatives: total weight of all items that a user did not like, where those that they liked weigh 1 together.
        ratings_per_step: maximum number of ratings in a step.
    """

    def __init__(
        self,
        initial: Weights,
        items: MultitaskItems,
        history: History,
        *,
        config: TrainingConfig,
        negatives: float,
        ratings_per_step: int,
        seed: int,
    ) -> None:
        import tensorflow as tf

        self.variables = Variables(initial, config=config, seed=seed)
        self.history, self.n_items = history, len(items)
        self._items, self._config = items, config
        self._negatives, self._ratings_per_step = negatives, ratings_per_step
        self._candidates = Candidates(history.likes(), len(items), config=config)
        self._apply = tf.function(self.variables.apply)

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update; returns the batch's loss.

        The gradients are computed op by op: a compiled graph adds up three or more gradients of a tensor in the order
        in which they become ready (`AddN` reuses the memory of whichever input is free), so their sum has not the same
        bits every time.
        """
        batch = self._batch(example, random)
        return float(self._update(tensors(self._items.item_inputs(batch.rows)), tensors(vars(batch))))

    def _batch(self, example: Example, random: np.random.Generator) -> "_StepArrays":
        items, n_items = self._items, len(self._items)
        drawn, log_p = self._candidates.draw(example.targets, random)
        rated = _sample(example.later.where(~np.isnan(example.later.rating)), self._ratings_per_step, random)
        # the step's items: the candidates, those of the users' profiles, and the rated ones
        rows = np.unique(np.concatenate([drawn, example.past.item, rated.item]))
        past = np.stack([recency_matrix(example.past, n_items, decay=d)[:, rows].toarray() for d in items.decays])
        targets = example.targets[:, rows].toarray()
        # candidates alone are negatives, each with weight 1 / p (Horvitz and Thompson), as a share of `negatives`
        weight = np.zeros(len(rows), np.float32)
        weight[np.searchsorted(rows, drawn)] = self._negatives / n_items * np.exp(-log_p)
        dropout = np.array([self._config.item_dropout, *[self._config.modality_dropout] * len(items.content)])
        shown = items.masks[rows] & (random.random((len(rows), len(dropout))) >= dropout)
        # an item all of whose content is hidden has nothing to predict its category from
        labels = items.one_hot(rows) * shown[:, 1:].any(axis=1, keepdims=True)
        return _StepArrays(
            rows=rows,
            shown=shown.astype(np.float32),
            past=past,
            targets=targets,
            negatives=weight * ((targets == 0) & (past[0] == 0)),
            rating_users=rated.user.astype(np.int64),
            rating_items=np.searchsorted(rows, rated.item),
            ratings=rated.rating,
            labels=labels,
            present=np.array([1, len(rated) > 0, labels.any()], np.float32),
        )

    def _update(self, inputs: Mapping[str, Any], batch: Mapping[str, Any]) -> Any:
        """One update, given the item inputs and the fields of a `_StepArrays` as tensors; returns the loss []."""
        import tensorflow as tf
        from keras import ops

        uncertainty = self.variables.named["uncertainty"]
        with tf.GradientTape() as tape:
            loss = net.total_loss(self._losses(inputs, batch), uncertainty, batch["present"], xp=ops)
        self._apply(self.variables.gradients(tape, loss))
        return loss

    def _losses(self, inputs: Mapping[str, Any], batch: Mapping[str, Any]) -> Any:
        """[3], one a task; 0 for a task without data."""
        from keras import ops

        weights, modalities = self.variables.named, list(self._items.content)
        history = ops.take(weights["history"], inputs["place"], axis=0)
        items = net.item_parts(weights, history, inputs, modalities, batch["shown"], xp=ops)
        users = net.map_profiles(weights, _profiles(batch["past"], items, batch["shown"]), xp=ops)
        trunk = sum(net.without_bias(items))  # [R, d]
        logits = net.interaction(weights, users, items, xp=ops)
        losses = [net.interaction_loss(logits, batch["targets"], batch["negatives"], xp=ops)]
        # a rating is of one user and one item: both [n, d]
        pairs = (ops.take(users, batch["rating_users"], axis=0), ops.take(trunk, batch["rating_items"], axis=0))
        losses.append(net.rating_loss(net.rating(weights, *pairs, xp=ops), batch["ratings"], xp=ops))
        if modalities and weights["category_bias"].shape[0]:
            category_logits = net.category(weights, items, xp=ops)
            losses.append(net.category_loss(category_logits, batch["labels"], xp=ops))
        else:
            losses.append(ops.zeros(()))
        return ops.stack(losses)


@dataclass(frozen=True)
class _StepArrays:
    """The arrays of a step: B users, R items, n ratings.

    Attributes:
        rows: int64 [R], ascending rows of the catalog.
        shown: float32 [R, 1 + M], 1 for the parts that the item has and that are not hidden for this step.
        past: float32 [decays, B, R], the weight of each item in each user's profile.
        targets, negatives: float32 [B, R], as in `network.interaction_loss`.
        rating_users, rating_items: int64 [n], positions among the B users and the R items.
        ratings: float32 [n], standardised.
        labels: float32 [R, C], as in `network.category_loss`.
        present: float32 [3], 1 for each task of which the step has data.
    """

    rows: NDArray[np.int64]
    shown: NDArray[np.float32]
    past: NDArray[np.float32]
    targets: NDArray[np.float32]
    negatives: NDArray[np.float32]
    rating_users: NDArray[np.int64]
    rating_items: NDArray[np.int64]
    ratings: NDArray[np.float32]
    labels: NDArray[np.float32]
    present: NDArray[np.float32]


def _sample(history: History, most: int, random: np.random.Generator) -> History:
    """At most so many of the rows, drawn without replacement."""
    return history if len(history) <= most else history.where(random.choice(len(history), most, replace=False))


def _profiles(past: Any, items: list[Any], shown: Any) -> Any:
    """[B, P]: `fusion.data.history_features.profiles` in Keras, over the step's items and for every decay.

    Args:
        past: [decays, B, R].
        items: the parts of the R items.
        shown: [R, 1 + M].
    """
    from keras import ops

    means = []
    for weights in ops.unstack(past):
        totals = ops.matmul(weights, shown)  # [B, 1 + M], the weight of the liked items that have each part
        for place, part in enumerate(net.without_bias(items)):
            total = totals[:, place : place + 1]
            means.append(ops.matmul(weights, part) / ops.where(total > 0, total, 1.0))
    return ops.concatenate(means, axis=1)


def valid_losses(
    weights: Weights,
    items: MultitaskItems,
    train: History,
    valid: History,
    *,
    users: NDArray[np.int64],
    negatives: float,
) -> dict[str, float]:
    """Task → the mean loss of its head on validation data; a task without such data is left out.

    Args:
        items: their `labels` are those held out from training.
        train: the likes that the users' profiles are made of.
        valid: later events of the same users; its ratings are standardised.
        users: positions in `user_ids` of those who have validation likes, ascending.
        negatives: as in training.
    """
    users = users[:MAX_USERS]
    parts, vectors = items.parts(weights), items.users(weights, train.likes(), users=users)
    events = valid.where(np.isin(valid.user, users))
    losses = {"interaction": _interaction(weights, parts, vectors, train, events, users=users, negatives=negatives)}
    rated = events.where(~np.isnan(events.rating))
    if len(rated):
        pairs = (vectors[np.searchsorted(users, rated.user)], sum(net.without_bias(parts))[rated.item])
        losses["rating"] = float(net.rating_loss(net.rating(weights, *pairs, xp=np), rated.rating, xp=np))
    labelled = np.nonzero(items.labels >= 0)[0]
    if len(labelled):
        logits = net.category(weights, [part[labelled] for part in parts], xp=np)
        losses["category"] = float(net.category_loss(logits, items.one_hot(labelled), xp=np))
    return losses


def _interaction(
    weights: Weights,
    parts: list[NDArray[np.float32]],
    vectors: NDArray[np.float32],
    train: History,
    valid: History,
    *,
    users: NDArray[np.int64],
    negatives: float,
) -> float:
    """The interaction loss of the users, whose `vectors` are [B, d], over all N items."""
    n_items = len(parts[0])
    liked = like_matrix(valid, n_items)[users].toarray()
    had = like_matrix(train, n_items)[users].toarray()
    targets = liked / liked.sum(axis=1, keepdims=True)
    others = (negatives / n_items) * ((liked == 0) & (had == 0))
    logits = net.interaction(weights, vectors, parts, xp=np)
    return float(net.interaction_loss(logits, targets, others, xp=np))
