"""A user's vector as an attentive reading of what they liked last. Arrays are NumPy's or Keras's alike, by `xp`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History


@dataclass(frozen=True)
class RecentLikes:
    """The last likes of some users, the latest first.

    Attributes:
        items: int32 [B, n], rows of the catalog; 0 where `weights` is 0.
        weights: float32 [B, n], of the likes; 0 where a user has no so old a like.
    """

    items: NDArray[np.int32]
    weights: NDArray[np.float32]


def recent_likes(likes: History, length: int, *, users: NDArray[np.integer]) -> RecentLikes:
    """The `length` latest likes of each of `users`, places in the history's `user_ids`; likes of one moment stand in
    the order of their items."""
    order = np.lexsort((likes.item, likes.timestamp, likes.user))
    user = likes.user[order]
    end = np.cumsum(np.bincount(user, minlength=len(likes.user_ids)))
    age = end[user] - 1 - np.arange(len(user))
    row = np.full(len(likes.user_ids), -1)
    row[users] = np.arange(len(users))
    kept = (age < length) & (row[user] >= 0)
    items = np.zeros((len(users), length), np.int32)
    weights = np.zeros((len(users), length), np.float32)
    place = row[user[kept]], age[kept]
    items[place], weights[place] = likes.item[order][kept], likes.weight[order][kept]
    return RecentLikes(items, weights)


def read(given: Mapping[str, Any], sources: Any, source_masks: Any, weights: Any, *, widths: list[int], xp: Any) -> Any:
    """User vectors [B, D].

    Causal self-attention as in SASRec (Kang and McAuley 2018, eq. 2), of which only the last place is needed: a head's
    query comes from the latest like, and place a gets softmax(query · key_a / sqrt(k) + place_a + ln weight_a). Values
    are the sources themselves, of each source the mean over the likes that have it. A hidden layer (eq. 6) adds to a
    linear map of all readings.

    With D the columns of an item's vector, P those of the sources, H heads of k columns and n places, the weights are
    `query` [P, Hk] and `key` [P, Hk], sources → what a head asks for and answers to; `place` [H, n], how much a head
    heeds each place, the latest like first; `kernel` [HP, D] and `bias` [D], readings → user vector; `hidden` [HP, h],
    `hidden_bias` [h] and `out` [h, D], what a hidden layer adds to it.

    Args:
        given: the weights.
        sources: [B, n, P], what the likes are known by, 0 where missing.
        source_masks: [B, n, S], 1 where a like has the source.
        weights: [B, n], of the likes, 0 where there is none.
        widths: the columns of each of the S sources.
    """
    batch, places = weights.shape
    heads = given["place"].shape[0]
    width = given["query"].shape[1] // heads
    query = xp.reshape(xp.matmul(sources[:, 0], given["query"]), (batch, heads, width))
    key = xp.reshape(xp.matmul(sources, given["key"]), (batch, places, heads, width))
    logits = xp.einsum("bhk,bnhk->bhn", query, key) / float(np.sqrt(width)) + given["place"][None]
    logits = logits - xp.max(logits, axis=2, keepdims=True)
    heed = xp.exp(logits) * weights[:, None, :]
    sums = xp.repeat(xp.einsum("bhn,bns->bhs", heed, source_masks), widths, axis=2)
    readings = xp.einsum("bhn,bnp->bhp", heed, sources) / xp.where(sums > 0, sums, 1)
    flat = xp.reshape(readings, (batch, -1))
    hidden = xp.maximum(xp.matmul(flat, given["hidden"]) + given["hidden_bias"], 0)
    return xp.matmul(flat, given["kernel"]) + given["bias"] + xp.matmul(hidden, given["out"])
