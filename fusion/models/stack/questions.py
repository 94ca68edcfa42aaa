"""The question that each population is asked, answered by scorers that have not learnt from its likes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, id_hashes, like_matrix, seen_matrix, tie_hashes
from fusion.models.stack.scores import Part

HELD_OUT = 0.15
"""Share of each user's likes that `newest_likes` holds out, at least one."""
MIN_LIKES = 3
"""A user with fewer is not asked about."""
NEWCOMERS = 0.2
"""Share of the users who count as newcomers: those whose first like is the newest."""
FIRST_LIKES = 5
"""A newcomer's likes that count as their first choice."""
FOLDS = 5
"""Parts of the catalog of which one after another is new."""
MAX_USERS = 1500
"""Most users whose rankings one question weighs; of more, so many are drawn."""
POOL = 20
"""An item is in a user's pool if it is among so many first of some scorer: what any of them would show."""
USERS_AT_ONCE = 64
"""Users whose scores of the whole catalog by every scorer are held at once."""


class Fitted(Protocol):
    """Scorers that were fitted on a part of the likes."""

    def parts(self, catalog: Catalog, likes: History, users: NDArray[np.integer]) -> Iterator[Part]:
        """Every scorer's part for some users, int [B], given likes of items of the catalog."""


@dataclass(frozen=True)
class Rankings:
    """Pools of users, padded to one length P, with what every scorer gives the items in them.

    Attributes:
        scorers: S names.
        scores: float32 [Q, P, S].
        relevant: bool [Q, P], what the user liked next.
        present: bool [Q, P], False for padding.
    """

    scorers: tuple[str, ...]
    scores: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    present: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scores)

    def without(self, scorer: str) -> Self:
        """The same pools without what one of the scorers gives, if it is among them."""
        kept = [place for place, name in enumerate(self.scorers) if name != scorer]
        return replace(self, scorers=tuple(self.scorers[place] for place in kept), scores=self.scores[..., kept])


def newest_likes(likes: History) -> NDArray[np.bool_]:
    """bool [n]: the newest `HELD_OUT` of each user's likes, at least one, for users with `MIN_LIKES` and more.

    Among likes with one timestamp a hash of user and item decides, and not the order of items: what is held out is then
    a sample of them.
    """
    order = np.lexsort((tie_hashes(likes), likes.timestamp, likes.user))
    user = likes.user[order]
    count = np.bincount(user, minlength=len(likes.user_ids))
    held = np.where(count >= MIN_LIKES, np.maximum(1, np.floor(HELD_OUT * count)), 0)
    place = np.arange(len(user)) - np.searchsorted(user, user)  # of a like among its user's, the oldest first
    newest = np.zeros(len(likes), np.bool_)
    newest[order] = place >= (count - held)[user]
    return newest


def newcomers(likes: History) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Newcomers are the `NEWCOMERS` share of the users whose first like is the newest.

    Returns:
        What was known when the earliest of them came, the others' likes up to then: bool [n]. The first `FIRST_LIKES`
        likes of each of them: bool [n]. Nothing in either with too few users. Users whose first likes bear one time
        come in the order of a hash.
    """
    order = np.lexsort((tie_hashes(likes), likes.timestamp, likes.user))
    user, first = np.unique(likes.user[order], return_index=True)
    came = likes.timestamp[order][first]
    by_arrival = np.lexsort((tie_hashes(likes)[order][first], came))
    n_new = int(NEWCOMERS * len(user))
    if not n_new:
        return np.zeros(len(likes), np.bool_), np.zeros(len(likes), np.bool_)
    new = np.zeros(len(likes.user_ids), np.bool_)
    new[user[by_arrival[-n_new:]]] = True
    since = came[by_arrival[-n_new]]
    place = np.empty(len(likes), np.int64)  # of a like among its user's, the oldest first
    place[order] = np.arange(len(likes)) - np.searchsorted(likes.user[order], likes.user[order])
    return ~new[likes.user] & (likes.timestamp <= since), new[likes.user] & (place < FIRST_LIKES)


def item_folds(item_ids: NDArray[np.str_], *, seed: int) -> NDArray[np.int64]:
    """int64 [N]: each item's fold, by a hash of its id, so that an item is new exactly once."""
    # by the remainder: a split by cold items may have cut the same hashes by size, and every fold is to keep its share
    return (id_hashes(item_ids, seed=seed) % np.uint64(FOLDS)).astype(np.int64)


def rankings(
    fitted: Fitted,
    items: NDArray[np.float32],
    catalog: Catalog,
    known: History,
    later: History,
    *,
    candidates: NDArray[np.bool_] | None = None,
    max_users: int = MAX_USERS,
    seed: int,
) -> Rankings | None:
    """The pools of the users with later likes in them; None where nobody has one.

    Candidates are those given, without what a user has had. A later like that no scorer would show teaches nothing
    about their weights, and is left out; so is a user without any other, and one whose pool is a single item.

    Args:
        fitted: scorers that have seen `known` alone.
        items: float32 [N, D], the catalog's vectors under them.
        known, later: of the same users.
        candidates: bool [N]; None for all.
        max_users: of more users with a later like, so many are drawn.
        seed: draws them.
    """
    allowed = np.ones(len(catalog), np.bool_) if candidates is None else candidates
    wanted = like_matrix(later.where(allowed[later.item]), len(catalog))
    users = np.flatnonzero(np.diff(wanted.indptr))
    if len(users) > max_users:
        users = np.sort(np.random.default_rng(seed).choice(users, max_users, replace=False))
    had = seen_matrix(known, len(catalog))
    pools: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
    names: tuple[str, ...] = ()
    for start in range(0, len(users), USERS_AT_ONCE):
        rows = users[start : start + USERS_AT_ONCE]
        parts = list(fitted.parts(catalog, known.likes(), rows))
        names = tuple(part.scorer for part in parts)
        free = allowed & (had[rows].toarray() == 0)
        scores = [part.users @ items[:, part.columns].T for part in parts]  # S of [B, N]
        pool = np.zeros(free.shape, np.bool_)
        for each in scores:
            pool |= _first(np.where(free, each, -np.inf), POOL)
        pool &= free
        relevant = wanted[rows].toarray() > 0
        for row in np.flatnonzero((pool & relevant).any(axis=1) & (pool.sum(axis=1) > 1)):
            place = np.flatnonzero(pool[row])
            pools.append((np.stack([each[row, place] for each in scores], axis=1), relevant[row, place]))
    return _padded(names, pools) if pools else None


def joined(several: Sequence[Rankings | None]) -> Rankings | None:
    """The pools of all, which have the same scorers; None where there is none."""
    found = [each for each in several if each is not None]
    if not found:
        return None
    pools = [
        (scores[there], relevant[there])
        for each in found
        for scores, relevant, there in zip(each.scores, each.relevant, each.present, strict=True)
    ]
    return _padded(found[0].scorers, pools)


def _padded(names: tuple[str, ...], pools: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Rankings:
    longest = max(len(relevant) for _, relevant in pools)
    scores = np.zeros((len(pools), longest, len(names)), np.float32)
    relevant, present = (np.zeros((len(pools), longest), np.bool_) for _ in range(2))
    for row, (values, hits) in enumerate(pools):
        scores[row, : len(hits)], relevant[row, : len(hits)], present[row, : len(hits)] = values, hits, True
    return Rankings(names, scores, relevant, present)


def _first(scores: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """bool [B, N]: the k highest scores of each row."""
    k = min(k, scores.shape[1])
    first = np.zeros(scores.shape, np.bool_)
    if k:
        np.put_along_axis(first, np.argpartition(-scores, k - 1, axis=1)[:, :k], True, axis=1)
    return first
