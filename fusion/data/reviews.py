"""Users' reviews, and their vectors averaged into an item's text vector."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fusion.data.catalog import Catalog, History, pair_codes


@dataclass(frozen=True)
class Reviews:
    """The n reviews; row i of `user`, `item` and `content` belongs to one review.

    Attributes:
        user, item: int32 [n], indices into a history's `user_ids` and a catalog's `item_ids`.
        content: int32 [n], rows of `vectors`.
        vectors: float32 [c, d], from the text encoder; equal reviews share a row.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    content: NDArray[np.int32]
    vectors: NDArray[np.float32]


def no_reviews() -> Reviews:
    """None."""
    nothing = np.zeros(0, np.int32)
    return Reviews(nothing, nothing, nothing, np.zeros((0, 1), np.float32))


def with_reviews(catalog: Catalog, reviews: Reviews, known: History, *, share: float) -> Catalog:
    """The catalog with its items' reviews in their text vectors.

    The text vector becomes `(1 - share) own + share * mean(reviews)`; an item without a text of its own gets the mean
    alone, and the modality is no longer missing. Only reviews of (user, item) pairs in `known` count: a review that was
    written with a held-out like would give that like away.
    """
    n = len(catalog)
    counts = np.isin(pair_codes(reviews.user, reviews.item, n), pair_codes(known.user, known.item, n))
    if not counts.any():
        return catalog
    item, content = reviews.item[counts], reviews.content[counts]
    # [N, c]: how often each distinct review text was written about an item; equal texts add up.
    mentions = sparse.csr_matrix((np.ones(len(item), np.float32), (item, content)), (n, len(reviews.vectors)))
    number = np.asarray(mentions.sum(axis=1)).ravel()
    mean = (mentions @ reviews.vectors) / np.maximum(number, 1)[:, None]
    reviewed, described = number > 0, catalog.masks["text"]
    weight = np.where(reviewed, np.where(described, share, 1.0), 0.0).astype(np.float32)[:, None]
    own = catalog.vectors["text"] if described.any() else np.zeros_like(mean)
    text = ((1 - weight) * own + weight * mean).astype(np.float32)
    return replace(
        catalog,
        vectors={**catalog.vectors, "text": text},
        masks={**catalog.masks, "text": described | reviewed},
    )
