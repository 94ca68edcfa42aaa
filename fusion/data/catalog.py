"""The data of a night as arrays: the items' vectors with their masks (`Catalog`), and the users' events (`History`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Users int64 [B] → scores [B, N] of every item of the catalog."""

MAX_STEPS = 32
"""Most steps that a sequence may have."""


@dataclass(frozen=True)
class Sequences:
    """Time series of some of the N items, such as the frames of a video: K sequences, which items may share.

    Attributes:
        values: float32 [K, T, d], T at most `MAX_STEPS`; zero padding past a sequence's length.
        lengths: int32 [K], 1 or more.
        place: int64 [N], the item's row of `values`; -1 where it has no sequence.
    """

    values: NDArray[np.float32]
    lengths: NDArray[np.int32]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class Catalog:
    """The items of a night. Row i of every array belongs to `item_ids[i]`.

    Attributes:
        item_ids: str [N], ascending, unique.
        vectors: modality → float32 [N, d_m], zeros where the mask is False; of `attributes` the CSR of
            `fusion.data.attributes.attribute_rows`.
        masks: modality → bool [N], True where the item has that modality.
        categories: str [N], "" where unknown; when left out, "" for every item.
        terms: CSR [N, terms], how often each hashed term occurs in an item's text; None where terms were not counted.
        sequences: modality → the sequences behind the vectors of that modality; a modality may be left out.
        widths: modality → the width of each block of its vectors, side by side: several encoders make one modality. One
            that is left out has one block. A block that an item lacks is zeros.
    """

    item_ids: NDArray[np.str_]
    vectors: Mapping[str, NDArray[np.float32]]
    masks: Mapping[str, NDArray[np.bool_]]
    categories: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    terms: sp.csr_matrix | None = None
    sequences: Mapping[str, Sequences] = field(default_factory=dict)
    widths: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.categories):
            object.__setattr__(self, "categories", np.full(len(self.item_ids), ""))

    def __len__(self) -> int:
        return len(self.item_ids)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Catalog":
        """The items that `rows` selects: a bool mask [N], or ascending row indices."""
        return Catalog(
            self.item_ids[rows],
            {m: vectors[rows] for m, vectors in self.vectors.items()},
            {m: mask[rows] for m, mask in self.masks.items()},
            self.categories[rows],
            None if self.terms is None else self.terms[rows],
            {m: replace(s, place=s.place[rows]) for m, s in self.sequences.items()},
            self.widths,
        )

    def blocks(self, modality: str) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """The blocks of a modality's vectors: float32 [N, width], and bool [N], True where the item has the block."""
        vectors, mask = self.vectors[modality], self.masks[modality]
        widths = self.widths.get(modality, ())
        if len(widths) < 2:
            return [(vectors, mask)]
        parts = np.split(vectors, np.cumsum(widths)[:-1], axis=1)
        return [(part, mask & part.any(axis=1)) for part in parts]


@dataclass(frozen=True)
class History:
    """The users' events on the catalog's items, one row a (user, item) pair, ascending by user, timestamp, item.

    Attributes:
        user_ids: str [U], ascending, unique; a user may have no row.
        user, item: int32 [n], indices into `user_ids` and into the catalog's `item_ids`.
        timestamp: int64 [n], microseconds since 1970 UTC, of the pair's latest event.
        weight: float32 [n], of the pair's strongest event; 0 means seen but not liked.
        rating: float32 [n], the value of the pair's latest rating or review; NaN without one.
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
        """The rows that `keep` selects, under the same `user_ids`: a bool mask [n], or indices, kept in their order."""
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


def nobody(user_id: str) -> History:
    """The history of one user without an event."""
    none = np.zeros(0, np.int32)
    floats = np.zeros(0, np.float32)
    return History(np.array([user_id], np.str_), none, none, np.zeros(0, np.int64), floats, floats)


def zeroed(vectors: Any, mask: NDArray[np.bool_]) -> Any:
    """Vectors [N, d], dense or CSR, with nothing in the rows where the mask is False."""
    if not sp.issparse(vectors):
        return np.where(mask[:, None], vectors, np.float32(0))
    length = np.diff(vectors.indptr)
    kept = np.repeat(mask, length)  # not a product with the mask, which would lose entries that are 0
    indptr = np.concatenate([[0], np.cumsum(length * mask)])
    return sp.csr_matrix((vectors.data[kept], vectors.indices[kept], indptr), vectors.shape)


def seen_matrix(history: History, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, n_items], 1 for every pair of the history, liked or only seen."""
    ones = np.ones(len(history), np.float32)
    return sp.csr_matrix((ones, (history.user, history.item)), shape=(len(history.user_ids), n_items))


def like_matrix(history: History, n_items: int) -> sp.csr_matrix:
    """CSR float32 [U, n_items], 1 where the user likes the item."""
    return seen_matrix(history.likes(), n_items)


def pair_codes(user: NDArray[np.integer], item: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    """int64 [n]: one number for each (user, item) pair, so that sets of pairs can be compared."""
    return user.astype(np.int64) * n_items + item


def positions(sorted_ids: NDArray[np.str_], ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """int64 [n]: the index of each of `ids` in `sorted_ids`, which is ascending; -1 where it is not in there."""
    if not len(sorted_ids):
        return np.full(len(ids), -1)
    # An id above all others would be inserted past the end, where there is nothing to compare it with.
    found = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    return np.where(sorted_ids[found] == ids, found, -1)


def id_hashes(ids: NDArray[np.str_], *, seed: int) -> NDArray[np.uint64]:
    """uint64 [n], uniform: an id has the same hash whatever ids are beside it."""
    # the 8 bytes of a hash are a little-endian unsigned integer
    hashes = [blake2b(f"{seed} {each}".encode(), digest_size=8).digest() for each in ids.tolist()]
    return np.frombuffer(b"".join(hashes), "<u8").astype(np.uint64)


def tie_hashes(history: History, item_ids: NDArray[np.str_] | None = None) -> NDArray[np.uint64]:
    """uint64 [n], uniform: what orders rows of one time, so that no order of identifiers is taken for one in time.

    Args:
        item_ids: str [N], the catalog's; given them, a pair has the same number whatever users and items are beside it.
    """
    user, item = history.user.astype(np.uint64), history.item.astype(np.uint64)
    if item_ids is not None:
        user, item = (
            id_hashes(ids, seed=0)[rows] for ids, rows in ((history.user_ids, history.user), (item_ids, history.item))
        )
    # SplitMix64 (Steele et al. 2014)
    mixed = user * np.uint64(0x9E3779B97F4A7C15) + item + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def evenly_spaced(rows: NDArray[T], *, most: int) -> NDArray[T]:
    """Every s-th row, s the least step that leaves no more than `most`."""
    return rows[:: max(1, -(-len(rows) // most))]


def rows_at(table: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [n, d]: the given rows of `table`, zeros where the row is -1."""
    if not len(table):
        return np.zeros((len(rows), table.shape[1]), np.float32)
    return np.where(rows[:, None] >= 0, table[rows], 0).astype(np.float32)


@dataclass(frozen=True)
class Split:
    """A history in three parts, which together hold every row once, under the same `user_ids`.

    Attributes:
        valid_candidates, test_candidates: bool [N], the items of the catalog that may be ranked in validation and in
            the test; None for all.
    """

    train: History
    valid: History
    test: History
    valid_candidates: NDArray[np.bool_] | None = None
    test_candidates: NDArray[np.bool_] | None = None

    def known(self) -> History:
        """Train and valid together, in the order of a `History`: what a model in the test may have learnt from."""
        parts = (self.train, self.valid)
        names = ("user", "item", "timestamp", "weight", "rating")
        both = History(self.train.user_ids, *(np.concatenate([getattr(p, name) for p in parts]) for name in names))
        return both.where(np.lexsort((both.item, both.timestamp, both.user)))

    def tuning(self) -> "Split":
        """The split on which choices are made: the validation likes are the test, and only train is known."""
        nothing = self.train.where(np.zeros(len(self.train), np.bool_))
        return replace(
            self, valid=nothing, test=self.valid, valid_candidates=None, test_candidates=self.valid_candidates
        )
