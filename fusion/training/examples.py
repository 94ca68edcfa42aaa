"""Training examples: users at a moment with what they liked next, and the batches of them that Keras fits on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History, like_matrix, tie_hashes
from fusion.training.config import TrainingConfig
from fusion.training.losses import LIKED_PER_USER

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


class LikesDataset(keras.utils.PyDataset):
    """Batches without end, each of `batch_size` users. An epoch has `steps` of them: users in random order, every user
    once before any twice.

    A batch follows from the seed and its number alone, so that Keras may read ahead. Its arrays all have a row a user,
    so that they can be divided among devices.

    Args:
        history: the events that examples are drawn from.
        profiles: likes of B users → float32 [B, P], what the model knows a user by.
    """

    num_batches = None

    def __init__(
        self,
        history: History,
        n_items: int,
        profiles: Callable[[History], NDArray[np.float32]],
        *,
        config: TrainingConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.examples = Examples(history, n_items)
        self.n_items, self.profiles, self.config, self.seed = n_items, profiles, config, seed
        least, most = config.steps_per_epoch
        self.steps = min(most, max(least, -(-len(self.examples.users) // config.batch_size)))

    def __getitem__(self, index: int) -> tuple[dict[str, NDArray[Any]], Any]:
        epoch, step = divmod(index, self.steps)
        users = self._shuffled(epoch)[step * self.config.batch_size : (step + 1) * self.config.batch_size]
        random = np.random.default_rng([self.seed, epoch, step])
        return self.batch(self.examples.draw(users, random), random)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        """The users of an epoch's batches, one after the other."""
        random, users = np.random.default_rng([self.seed, epoch]), self.examples.users
        rounds = -(-self.steps * self.config.batch_size // len(users))
        return np.concatenate([random.permutation(users) for _ in range(rounds)])

    def batch(self, example: Example, random: np.random.Generator) -> tuple[dict[str, NDArray[Any]], Any]:
        """The inputs of a model, and the labels of `fusion.training.losses`, int8 [B, S + C]. The inputs:

        - `profile` float32 [B, P], made of the likes before the moment;
        - `liked` int32 [B, S], rows of the catalog that the user liked next, drawn by their shares;
        - `candidates` int32 [B, C], rows of the catalog that are the same for all users: the whole catalog, or
          `items_per_step` drawn uniformly of a larger one.
        """
        n_users = example.targets.shape[0]
        n_candidates = min(self.n_items, self.config.items_per_step)
        candidates = np.arange(self.n_items)
        if n_candidates < self.n_items:
            candidates = random.choice(self.n_items, n_candidates, replace=False)
        had = (like_matrix(example.past, self.n_items) + example.targets)[:, candidates].toarray() > 0
        labels = np.hstack([np.ones((n_users, LIKED_PER_USER), np.int8), -had.astype(np.int8)])
        inputs = {
            "profile": self.profiles(example.past),
            "liked": draw_by_share(example.targets, LIKED_PER_USER, random).astype(np.int32),
            "candidates": np.broadcast_to(candidates.astype(np.int32), (n_users, n_candidates)),
        }
        return inputs, labels


def draw_by_share(shares: sp.csr_matrix, n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """int64 [B, n]: columns drawn with replacement from each row of CSR [B, N], by entries that sum to 1 a row."""
    # inverse transform sampling: the entries of row i cover the numbers from i to i + 1 of their cumulative sum
    first, last = shares.indptr[:-1, None], shares.indptr[1:, None] - 1
    points = np.arange(shares.shape[0])[:, None] + random.random((shares.shape[0], n))
    entry = np.searchsorted(np.cumsum(shares.data, dtype=np.float64), points, side="right")
    return shares.indices[np.clip(entry, first, last)].astype(np.int64)
