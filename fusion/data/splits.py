"""Who is asked about which of their likes: the held-out likes that validate and test a model."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from schemas.config import Fusion

Kind = Literal["global_time", "per_user", "cold_items"]
MIN_LIKES_PER_USER = 3
"""A user with fewer likes cannot give one to each of train, valid and test, and stays wholly in train (`per_user`)."""
MIN_LIKED_ITEMS = 3
"""With fewer liked items, train, valid and test cannot have one each, and everything is train (`cold_items`)."""


@dataclass(frozen=True)
class Split:
    """One history cut in three; together the parts hold every row once, under the same `user_ids`.

    Attributes:
        valid_candidates, test_candidates: bool [N], the items of the catalog that may be ranked when validating and
            when testing; None for all.
    """

    train: History
    valid: History
    test: History
    valid_candidates: NDArray[np.bool_] | None = None
    test_candidates: NDArray[np.bool_] | None = None

    def known(self) -> History:
        """Train and valid together: what may be known when the test begins."""
        parts = (self.train, self.valid)
        names = ("user", "item", "timestamp", "weight", "rating")
        both = History(self.train.user_ids, *(np.concatenate([getattr(p, name) for p in parts]) for name in names))
        return both.where(np.lexsort((both.item, both.timestamp, both.user)))

    def tuning(self) -> "Split":
        """What choices are made on: train is all that is known, and the validation likes are the test."""
        nothing = self.train.where(np.zeros(len(self.train), np.bool_))
        return replace(
            self, valid=nothing, test=self.valid, valid_candidates=None, test_candidates=self.valid_candidates
        )


def split(
    history: History,
    *,
    kind: Kind,
    test_share: float,
    valid_share: float,
    item_ids: NDArray[np.str_] | None = None,
    seed: int = 0,
) -> Split:
    """Cuts a history by time, or by items.

    A history that has grown by later likes asks, in its test, for none that the earlier one gave to train or valid: a
    model of an earlier night may be judged beside the night's own.

    `global_time`: likes are put in the order (timestamp, user, item); the newest `floor(test_share * n)` of them, at
    least one, are the test, the `floor(valid_share * n)` before them, at least one, validate. A row that was seen but
    not liked falls on the side of the line where its own (timestamp, user, item) puts it.

    `per_user`: the same within each user's likes, in the order (timestamp, item). A user with fewer than
    `MIN_LIKES_PER_USER` likes stays wholly in train.

    With too few likes for a cut (under `MIN_LIKES_PER_USER`), everything is train.

    `cold_items`: every item has a lot in [0, 1), drawn by the seed and its id alone. Of the items that anyone likes,
    those with a lot below `test_share` are the test with all their rows, and those in the `valid_share` of the rest
    that comes next validate with all theirs; at least one each, and one at least is left to train. Those items alone
    are the candidates, so that new items compete with new items.

    Args:
        item_ids: str [N], those of the catalog; only `cold_items` asks for them.
        seed: draws the lots of `cold_items`; the other kinds draw nothing.

    Raises:
        ValueError: an unknown kind, shares outside (0, 1) or adding up to 1 or more, or `cold_items` without
            `item_ids`.
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
        order = np.lexsort((history.item, history.user, history.timestamp))
        group = np.zeros(len(history), np.int64)
    elif kind == "per_user":
        order = np.lexsort((history.item, history.timestamp, history.user))
        group = history.user.astype(np.int64)
    else:
        raise ValueError(f"kind {kind!r}: expected one of {', '.join(get_args(Kind))}")
    part = np.zeros(len(history), np.int8)
    part[order] = _parts(group[order], history.weight[order] > 0, test_share=test_share, valid_share=valid_share)
    train, valid, test = (history.where(part == which) for which in range(3))
    return Split(train, valid, test)


def split_as(history: History, how: Fusion, *, item_ids: NDArray[np.str_], kind: Kind | None = None) -> Split:
    """The history cut as configured, or by another kind of split."""
    return split(
        history,
        kind=kind or how.split.kind,
        test_share=how.split.test_share,
        valid_share=how.split.valid_share,
        item_ids=item_ids,
        seed=how.seed,
    )


def _cold_items(
    history: History, item_ids: NDArray[np.str_], *, test_share: float, valid_share: float, seed: int
) -> Split:
    part = np.zeros(len(item_ids), np.int8)
    liked = np.unique(history.likes().item)
    if len(liked) >= MIN_LIKED_ITEMS:
        lots = _lots(item_ids[liked], seed=seed)
        drawn, ends = liked[np.argsort(lots, kind="stable")], (test_share, test_share + valid_share * (1 - test_share))
        tested, held_out = (int((lots < end).sum()) for end in ends)
        n_test = min(max(1, tested), len(drawn) - 2)
        n_held_out = min(max(n_test + 1, held_out), len(drawn) - 1)
        part[drawn[:n_test]] = 2
        part[drawn[n_test:n_held_out]] = 1
    rows = part[history.item]
    train, valid, test = (history.where(rows == which) for which in range(3))
    return Split(train, valid, test, valid_candidates=part == 1, test_candidates=part == 2)


def _lots(item_ids: NDArray[np.str_], *, seed: int) -> NDArray[np.float64]:
    """float64 [n], uniform over [0, 1); an item's is the same in every catalog."""
    hashes = [blake2b(f"{seed} {item}".encode(), digest_size=8).digest() for item in item_ids.tolist()]
    return np.frombuffer(b"".join(hashes), "<u8") / 2**64


def _parts(
    group: NDArray[np.int64], liked: NDArray[np.bool_], *, test_share: float, valid_share: float
) -> NDArray[np.int8]:
    """0 train, 1 valid, 2 test, for rows in the order of (group, time).

    A row that is not a like takes the part of the like before it, for the line to a part is drawn at that part's first
    like; before the first like, it is train.
    """
    if not len(group):
        return np.zeros(0, np.int8)
    likes = np.bincount(group, liked).astype(np.int64)
    before_group = np.concatenate([[0], np.cumsum(likes)[:-1]])
    place = np.maximum(np.cumsum(liked) - before_group[group] - 1, 0)
    n_test = _share(likes, test_share)[group]
    n_valid = _share(likes, valid_share)[group]
    test_from = likes[group] - n_test
    part = np.where(place >= test_from, 2, np.where(place >= test_from - n_valid, 1, 0))
    return np.where(likes[group] >= MIN_LIKES_PER_USER, part, 0).astype(np.int8)


def _share(n: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    return np.maximum(1, np.floor(share * n)).astype(np.int64)
