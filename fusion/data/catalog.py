"""What fusion learns from, as arrays: the catalog's vectors with their masks, and who liked what when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Users int64 [B] → scores [B, N] of every item of the catalog."""


MAX_STEPS = 32
"""The steps of a sequence, at most."""


@dataclass(frozen=True)
class Sequences:
    """What items have in order of time, for those of N that have it: K sequences, of which items may share some.

    Attributes:
        values: float32 [K, T, d], T at most `MAX_STEPS`; steps past a sequence's length hold zeros and mean nothing.
        lengths: int32 [K], 1 or more.
        place: int64 [N], the item's row of `values`; -1 where it has no sequence.
    """

    values: NDArray[np.float32]
    lengths: NDArray[np.int32]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class Catalog:
    """The items of a night. Row i of every array speaks of `item_ids[i]`.

    Attributes:
        item_ids: str [N], ascending, unique.
        vectors: modality → float32 [N, d_m]; rows that the mask hides hold zeros and mean nothing.
        masks: modality → bool [N], True where the item has that modality.
        categories: str [N], "" where unknown; left out, none is known.
        terms: CSR [N, terms], how often each hashed term stands in an item's text; None where nobody counted.
        sequences: modality → the sequences of items that have the modality and more of it than a vector; a modality
            may be left out.
    """

    item_ids: NDArray[np.str_]
    vectors: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.bool_]]
    categories: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    terms: sp.csr_matrix | None = None
    sequences: Mapping[str, Sequences] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.categories):
            object.__setattr__(self, "categories", np.full(len(self.item_ids), ""))

    def __len__(self) -> int:
        return len(self.item_ids)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Catalog":
        """Those of the items that `rows` marks (bool [N]) or names (ascending places)."""
        return Catalog(
            self.item_ids[rows],
            {m: vectors[rows] for m, vectors in self.vectors.items()},
            {m: mask[rows] for m, mask in self.masks.items()},
            self.categories[rows],
            None if self.terms is None else self.terms[rows],
            {m: replace(s, place=s.place[rows]) for m, s in self.sequences.items()},
        )


@dataclass(frozen=True)
class History:
    """What users did with the catalog's items, one row a (user, item) pair, ascending by user, timestamp, item.

    Attributes:
        user_ids: str [U], ascending, unique; a user may have no row.
        user, item: int32 [n], places in `user_ids` and in the catalog's `item_ids`.
        timestamp: int64 [n], microseconds since 1970 UTC, of the pair's latest event.
        weight: float32 [n], the pair's strongest event; 0 means seen but not liked.
        rating: float32 [n], the value of the pair's latest rating or review; NaN where the user gave none.
    """

    user_ids: NDArray[np.str_]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    weight: NDArray[np.float32]
    rating: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.user)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> "History":
        """The rows that `keep` marks (bool [n]) or names (places, taken in that order), under the same `user_ids`."""
        return replace(
            self,
            user=self.user[keep],
            item=self.item[keep],
            timestamp=self.timestamp[keep],
            weight=self.weight[keep],
            rating=self.rating[keep],
        )

    def likes(self) -> "History":
        """The rows whose weight is above 0."""
        return self.where(self.weight > 0)


def like_matrix(history: History, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, n_items], 1 where the user likes the item."""
    likes = history.likes()
    ones = np.ones(len(likes), np.float32)
    return sp.csr_matrix((ones, (likes.user, likes.item)), shape=(len(history.user_ids), n_items))


def places(item_ids: NDArray[np.str_], catalog: Catalog) -> NDArray[np.int64]:
    """int64 [N]: where each of the catalog's items stands in `item_ids` (ascending); -1 where it does not."""
    if not len(item_ids):
        return np.full(len(catalog), -1)
    place = np.minimum(np.searchsorted(item_ids, catalog.item_ids), len(item_ids) - 1)
    return np.where(item_ids[place] == catalog.item_ids, place, -1)


def rows_at(table: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [N, d]: the rows of `table` at `places`, 0 where a place is -1."""
    if not len(table):
        return np.zeros((len(places), table.shape[1]), np.float32)
    return np.where(places[:, None] >= 0, table[places], 0).astype(np.float32)
