"""Splits of a history into train, validation and test: by time, by each user's time, or by items (cold start)."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, Split, id_hashes, pair_codes, tie_hashes
from schemas.config import Fusion

Kind = Literal["global_time", "per_user", "cold_items"]
MIN_LIKES_PER_USER = 3
"""A user with fewer likes cannot have one in each of train, valid and test, and stays wholly in train (`per_user`)."""
MIN_LIKED_ITEMS = 3
"""With fewer liked items, train, valid and test cannot have one each, and everything is train (`cold_items`)."""


def split(
    history: History,
    *,
    kind: Kind,
    test_share: float,
    valid_share: float,
    item_ids: NDArray[np.str_] | None = None,
    seed: int = 0,
) -> Split:
    """Splits a history by time, or by items.

    Once later likes are added to a history, the test of its split holds no like that was in train or valid before: a
    model of an earlier night can be compared with the night's own.

    `global_time`: of the n likes in the order of time, the newest `floor(test_share * n)`, at least
    one, are the test, and the `floor(valid_share * n)` before them, at least one, validate. A row that was seen but not
    liked goes to the part in which its own time lies. Rows of one time are ordered by a hash of user and item.

    `per_user`: the same within each user's likes. A user with fewer than
    `MIN_LIKES_PER_USER` likes stays wholly in train.

    With too few likes to split (under `MIN_LIKES_PER_USER`), everything is train.

    `cold_items`: every item has a uniform number in [0, 1), a hash of the seed and its id. Of the liked items, those
    with a number below `test_share` are the test with all their rows, and those below `test_share + valid_share * (1 -
    test_share)` validate with all theirs; at least one each, and at least one is left to train. Only those items are
    candidates, so that new items compete with new items.

    Args:
        test_share, valid_share: above 0, with a sum below 1.
        item_ids: str [N], the catalog's; required by `cold_items`. With them, rows of one time are in the same order
            whatever users and items are beside them.
        seed: of the hashes of `cold_items`; the other kinds use no randomness.

    Raises:
        ValueError: an unknown kind, shares out of their range, or `cold_items` without `item_ids`.

    >>> n = 5  # one user likes the items 0 to 4, one after the other
    >>> user, item, time = np.zeros(n, np.int32), np.arange(n, dtype=np.int32), np.arange(n)
    >>> history = History(np.array(["ann"]), user, item, time, np.ones(n, np.float32), np.full(n, np.nan, np.float32))
    >>> parts = split(history, kind="per_user", test_share=0.4, valid_share=0.2)
    >>> parts.train.item.tolist(), parts.valid.item.tolist(), parts.test.item.tolist()
    ([0, 1], [2], [3, 4])
    """
    if not (0 < test_share < 1 and 0 < valid_share < 1 and test_share + valid_share < 1):
        raise ValueError(
            f"test_share {test_share} and valid_share {valid_share}: expected shares above 0 whose sum is below 1"
        )
    if kind == "cold_items":
        if item_ids is None:
            raise ValueError("kind 'cold_items' without item_ids: expected those of the catalog")
        return _cold_items(history, item_ids, test_share=test_share, valid_share=valid_share, seed=seed)
    if kind == "global_time":
        order = np.lexsort((tie_hashes(history, item_ids), history.timestamp))
        group = np.zeros(len(history), np.int64)
    elif kind == "per_user":
        order = np.lexsort((tie_hashes(history, item_ids), history.timestamp, history.user))
        group = history.user.astype(np.int64)
    else:
        raise ValueError(f"kind {kind!r}: expected one of {', '.join(get_args(Kind))}")
    part = np.zeros(len(history), np.int8)
    # Parts are found in the order of time, and written back to the rows that they belong to.
    part[order] = _parts(group[order], history.weight[order] > 0, test_share=test_share, valid_share=valid_share)
    train, valid, test = (history.where(part == which) for which in range(3))
    return Split(train, valid, test)


def split_as(history: History, how: Fusion, *, item_ids: NDArray[np.str_], kind: Kind | None = None) -> Split:
    """The history split as configured, or by another kind of split."""
    return split(
        history,
        kind=kind or how.split.kind,
        test_share=how.split.test_share,
        valid_share=how.split.valid_share,
        item_ids=item_ids,
        seed=how.seed,
    )


def choice_split(history: History, how: Fusion, *, item_ids: NDArray[np.str_]) -> Split:
    """The history split as configured, without the rows that a split of any kind has in its test: by its train and
    valid strategies and parameters are chosen that are then judged on each kind of split."""
    judged = [split_as(history, how, item_ids=item_ids, kind=kind).test for kind in get_args(Kind)]
    codes = np.concatenate([pair_codes(test.user, test.item, len(item_ids)) for test in judged])
    parts = split_as(history, how, item_ids=item_ids)
    train, valid = (
        part.where(~np.isin(pair_codes(part.user, part.item, len(item_ids)), codes))
        for part in (parts.train, parts.valid)
    )
    return replace(parts, train=train, valid=valid)


def with_some_users(split: Split, *, most: int, seed: int) -> Split:
    """The split with test rows of at most so many users: of more with a like in the test, those whose ids have the
    lowest hashes under the seed, whoever is beside them."""
    users = np.unique(split.test.likes().user)
    if len(users) <= most:
        return split
    first = np.argsort(id_hashes(split.test.user_ids[users], seed=seed), kind="stable")[:most]
    return replace(split, test=split.test.where(np.isin(split.test.user, users[first])))


def _cold_items(
    history: History, item_ids: NDArray[np.str_], *, test_share: float, valid_share: float, seed: int
) -> Split:
    part = np.zeros(len(item_ids), np.int8)  # [N], an item's part: 0 train, 1 valid, 2 test
    liked = np.unique(history.likes().item)
    if len(liked) >= MIN_LIKED_ITEMS:
        uniform = id_hashes(item_ids[liked], seed=seed) / 2**64  # over [0, 1)
        drawn = liked[np.argsort(uniform, kind="stable")]
        # Counts of items below either limit; those below the first are below the second too. Both are clipped so that
        # of three liked items and more each part has one.
        ends = (test_share, test_share + valid_share * (1 - test_share))
        n_test, n_held_out = (int((uniform < end).sum()) for end in ends)
        n_test = min(max(1, n_test), len(drawn) - 2)
        n_held_out = min(max(n_test + 1, n_held_out), len(drawn) - 1)
        part[drawn[:n_test]] = 2
        part[drawn[n_test:n_held_out]] = 1
    rows = part[history.item]  # [n], a row goes where its item goes
    train, valid, test = (history.where(rows == which) for which in range(3))
    return Split(train, valid, test, valid_candidates=part == 1, test_candidates=part == 2)


def _parts(
    group: NDArray[np.int64], liked: NDArray[np.bool_], *, test_share: float, valid_share: float
) -> NDArray[np.int8]:
    """int8 [n]: 0 train, 1 valid, 2 test.

    A part begins with its first like, so a row that is not a like goes to the part of the like before it, and to train
    where there is none.

    Args:
        group: int64 [n], ascending; rows of a group (a user, or 0 for everyone) are in the order of time.
        liked: bool [n].
    """
    if not len(group):
        return np.zeros(0, np.int8)
    # Arrays [G] hold one number a group and are spread over its rows, [n], by [group].
    likes = np.bincount(group, liked).astype(np.int64)
    before_group = np.concatenate([[0], np.cumsum(likes)[:-1]])
    # [n]: the index of a like among the likes of its group, and for any other row that of the like before it, or 0.
    index = np.maximum(np.cumsum(liked) - before_group[group] - 1, 0)
    n_test = _share(likes, test_share)[group]
    n_valid = _share(likes, valid_share)[group]
    test_from = likes[group] - n_test
    part = np.where(index >= test_from, 2, np.where(index >= test_from - n_valid, 1, 0))
    return np.where(likes[group] >= MIN_LIKES_PER_USER, part, 0).astype(np.int8)


def _share(n: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """int64 [G]: a share of each count, rounded down, at least 1."""
    return np.maximum(1, np.floor(share * n)).astype(np.int64)
