"""How well each head does on what it has not learnt from."""

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix
from fusion.models.multitask import network
from fusion.models.multitask.vectors import Items
from fusion.training.trainer import Weights

MAX_USERS = 256
"""At most so many users, the first of those asked, give the losses of the interaction and rating heads."""


def valid_losses(
    weights: Weights, items: Items, train: History, valid: History, *, users: NDArray[np.int64], negatives: float
) -> dict[str, float]:
    """Task → the mean loss of its head; a task with nothing to validate it on is not there.

    Args:
        items: their `labels` are those held out from training.
        train: what the users are known by.
        valid: later events of the same users; its ratings are standardised.
        users: places in `user_ids` of those who have validation likes.
        negatives: as in training.
    """
    users = users[:MAX_USERS]
    parts, vectors = items.parts(weights), items.users(weights, train.likes(), users=users)
    asked = valid.where(np.isin(valid.user, users))
    losses = {"interaction": _interaction(weights, parts, vectors, train, asked, users=users, negatives=negatives)}
    rated = asked.where(~np.isnan(asked.rating))
    if len(rated):
        pairs = (vectors[np.searchsorted(users, rated.user)], sum(network.without_bias(parts))[rated.item])
        losses["rating"] = float(network.rating_loss(network.rating(weights, *pairs, xp=np), rated.rating, xp=np))
    labelled = np.nonzero(items.labels >= 0)[0]
    if len(labelled):
        logits = network.category(weights, [part[labelled] for part in parts], xp=np)
        losses["category"] = float(network.category_loss(logits, items.one_hot(labelled), xp=np))
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
    n_items = len(parts[0])
    wanted = like_matrix(valid, n_items)[users].toarray()
    had = like_matrix(train, n_items)[users].toarray()
    targets = wanted / wanted.sum(axis=1, keepdims=True)
    others = (negatives / n_items) * ((wanted == 0) & (had == 0))
    logits = network.interaction(weights, vectors, parts, xp=np)
    return float(network.interaction_loss(logits, targets, others, xp=np))
