"""What users wrote about an item, as part of what is known of the item's text."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fusion.data.catalog import Catalog, History


@dataclass(frozen=True)
class Reviews:
    """Who wrote what about which item; row i of `user`, `item` and `content` speaks of one review.

    Attributes:
        user, item: int32 [n], places in a history's `user_ids` and a catalog's `item_ids`.
        content: int32 [n], rows of `vectors`.
        vectors: float32 [c, d], the text encoder's; equal reviews share a row.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    content: NDArray[np.int32]
    vectors: NDArray[np.float32]


def with_reviews(catalog: Catalog, reviews: Reviews, known: History, *, share: float) -> Catalog:
    """The catalog with its items' reviews in their text vectors.

    Only reviews of (user, item) pairs in `known` count, so that a model that is judged by held-out likes hasn't read
    what was written with them. The text vector is `(1 - share) own + share * mean(reviews)`; an item without a text of
    its own has the mean alone, and the modality is no longer missing.
    """
    counts = np.isin(_pairs(reviews.user, reviews.item, catalog), _pairs(known.user, known.item, catalog))
    if not counts.any():
        return catalog
    item, content = reviews.item[counts], reviews.content[counts]
    mentions = sparse.csr_matrix(
        (np.ones(len(item), np.float32), (item, content)), (len(catalog), len(reviews.vectors))
    )
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


def _pairs(user: NDArray[np.int32], item: NDArray[np.int32], catalog: Catalog) -> NDArray[np.int64]:
    return user.astype(np.int64) * len(catalog) + item
