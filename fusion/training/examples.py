"""Training examples: users at a moment, what they liked next, and the candidate items of a step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, tie_hashes
from fusion.training.config import TrainingConfig

HORIZON = 0.25
"""An example's targets are the next likes after its moment: this share of all of the user's likes, at least one."""


@dataclass(frozen=True)
class Example:
    """B users, each at one moment; row i of the histories and of `targets` belongs to the i-th of them.

    Attributes:
        past: their likes before the moment.
        targets: CSR float32 [B, N], the likes that came next, every row summing to 1.
        later: all events from the moment on, likes or not.
    """

    past: History
    targets: sp.csr_matrix
    later: History


class Examples:
    """Draws training examples: a user's likes up to a random moment, and what followed.

    Attributes:
        users: int64, positions in `user_ids` of the users with a like.
    """

    def __init__(self, history: History, n_items: int) -> None:
        # events and likes in the order (user, time), of one time by a hash: those of user u are one range of rows
        self._events = history.where(np.lexsort((tie_hashes(history), history.timestamp, history.user)))
        self._like_rows = np.nonzero(self._events.weight > 0)[0]
        self._likes = self._events.where(self._like_rows)
        self._count = np.bincount(self._likes.user, minlength=len(history.user_ids))
        self._first = np.cumsum(self._count) - self._count
        self._end = np.cumsum(np.bincount(history.user, minlength=len(history.user_ids)))
        self._n_items = n_items
        self.users = np.nonzero(self._count)[0]

    def draw(self, users: NDArray[np.int64], random: np.random.Generator) -> Example:
        """One example for each of `users`, int64 [B]; the moment is uniform over their likes, so the past may be
        empty."""
        count = self._count[users]
        cut = random.integers(0, count)  # likes before the moment
        ahead = np.minimum(np.maximum(1, (HORIZON * count).astype(np.int64)), count - cut)  # number of targets
        # past: the first `cut` likes of each user
        rows, owner = _ranges(self._first[users], cut)
        past = _history_of(users, owner, self._likes.where(rows))
        # later: all events from the like at the moment to the user's last
        moment = self._like_rows[self._first[users] + cut]
        rows, owner = _ranges(moment, self._end[users] - moment)
        later = _history_of(users, owner, self._events.where(rows))
        # targets: the next `ahead` likes, in proportion to their weights
        rows, owner = _ranges(self._first[users] + cut, ahead)
        weight = self._likes.weight[rows]
        share = weight / np.bincount(owner, weight, minlength=len(users))[owner]
        shape = (len(users), self._n_items)
        targets = sp.csr_matrix((share.astype(np.float32), (owner, self._likes.item[rows])), shape=shape)
        return Example(past, targets, later)


def _history_of(users: NDArray[np.int64], owner: NDArray[np.int64], rows: History) -> History:
    """`rows` as a history of the B `users`, row i belonging to the user at position `owner[i]`, 0 to B - 1."""
    return replace(rows, user_ids=users.astype(np.str_), user=owner.astype(np.int32))


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ranges first_i, first_i + 1, ..., first_i + length_i - 1 one after another, and the i of each number."""
    owner = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length
    return np.arange(len(owner)) - start[owner] + first[owner], owner


class Candidates:
    """Draws the items that a step's loss runs over, with the log of the probability of each to be among them.

    A catalog of at most `items_per_step` items is taken whole. Of a larger one, a uniform sample and the batch's
    targets: an item is among them with probability p = 1 - (1 - sampled/N) e^(-expected count as a target). Adding
    -log p to its logit in the partition function alone keeps that sum unbiased (Horvitz and Thompson 1952; the logQ
    correction of Bengio and Senécal 2008).
    """

    def __init__(self, likes: History, n_items: int, *, config: TrainingConfig) -> None:
        self._all = np.arange(n_items)
        self._sampled = min(n_items, config.items_per_step)
        users = max(1, len(np.unique(likes.user)))
        # a like is a target of its user's example with probability about HORIZON, and the user is in the batch with
        # probability batch_size / users
        expected = np.bincount(likes.item, minlength=n_items) * HORIZON * min(1.0, config.batch_size / users)
        self._log_p = np.log(1 - (1 - self._sampled / n_items) * np.exp(-expected)).astype(np.float32)

    def draw(
        self, targets: sp.csr_matrix, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows int64 [C], ascending, and log-probabilities float32 [C]."""
        if self._sampled == len(self._all):
            return self._all, np.zeros(len(self._all), np.float32)
        drawn = random.choice(len(self._all), self._sampled, replace=False)
        rows = np.union1d(drawn, targets.indices)
        return rows, self._log_p[rows]


def batches(
    users: NDArray[np.int64], random: np.random.Generator, *, config: TrainingConfig
) -> Iterator[NDArray[np.int64]]:
    """The batches of an epoch: users in random order, each `batch_size` long, every user once before any twice."""
    least, most = config.steps_per_epoch
    steps = min(most, max(least, -(-len(users) // config.batch_size)))
    rounds = -(-steps * config.batch_size // len(users))
    shuffled = np.concatenate([random.permutation(users) for _ in range(rounds)])
    for step in range(steps):
        yield shuffled[step * config.batch_size : (step + 1) * config.batch_size]
