"""What a training step learns from: users at a moment, what they liked next, and the items it is told from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.training.config import TrainingConfig

HORIZON = 0.25
"""A training example's targets are the next so much of the user's likes after a random moment, at least one."""


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

    def __init__(self, likes: History, n_items: int, *, config: TrainingConfig) -> None:
        self._all = np.arange(n_items)
        self._sampled = min(n_items, config.items_per_step)
        users = max(1, len(np.unique(likes.user)))
        expected = np.bincount(likes.item, minlength=n_items) * HORIZON * min(1.0, config.batch_size / users)
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


def batches(
    users: NDArray[np.int64], random: np.random.Generator, *, config: TrainingConfig
) -> Iterator[NDArray[np.int64]]:
    """Users in random order, every one once before any twice."""
    least, most = config.steps_per_epoch
    steps = min(most, max(least, -(-len(users) // config.batch_size)))
    rounds = -(-steps * config.batch_size // len(users))
    shuffled = np.concatenate([random.permutation(users) for _ in range(rounds)])
    for step in range(steps):
        yield shuffled[step * config.batch_size : (step + 1) * config.batch_size]
