"""User vectors by self-attention over the last likes. Arrays are NumPy's or Keras's, by `xp`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, tie_hashes


def attend(
    weights: Mapping[str, Any], sources: Any, source_masks: Any, like_weights: Any, *, widths: list[int], xp: Any
) -> Any:
    """User vectors [B, D].

    Causal self-attention as in SASRec (Kang and McAuley 2018, eq. 2), of which only the last place is needed: a head's
    query comes from the latest like, and place a gets softmax(query · key_a / sqrt(k) + place_a + ln weight_a). Values
    are the sources themselves, of each source the mean over the likes that have it. A hidden layer (eq. 6) adds to a
    linear map of all heads' means.

    With D the columns of an item's vector, P those of the sources, H heads of k columns and n places, the weights are
    `query` [P, Hk] and `key` [P, Hk]; `place` [H, n], a bias for each place, the latest like first; `kernel` [HP, D]
    and `bias` [D], means → user vector; `hidden` [HP, h], `hidden_bias` [h] and `out` [h, D], the hidden layer.

    Args:
        weights: the named weights.
        sources: [B, n, P], the features of the likes' items, 0 where missing.
        source_masks: [B, n, S], 1 where a like has the source.
        like_weights: [B, n], 0 where there is no like.
        widths: the columns of each of the S sources.
    """
    batch, places = like_weights.shape
    heads = weights["place"].shape[0]
    width = weights["query"].shape[1] // heads
    query = xp.reshape(xp.matmul(sources[:, 0], weights["query"]), (batch, heads, width))
    key = xp.reshape(xp.matmul(sources, weights["key"]), (batch, places, heads, width))
    logits = xp.einsum("bhk,bnhk->bhn", query, key) / float(np.sqrt(width)) + weights["place"][None]
    logits = logits - xp.max(logits, axis=2, keepdims=True)
    attention = xp.exp(logits) * like_weights[:, None, :]  # [B, H, n], not normalised
    # normalised for each source by the attention on the likes that have it: [B, H, S], repeated to [B, H, P]
    sums = xp.repeat(xp.einsum("bhn,bns->bhs", attention, source_masks), widths, axis=2)
    means = xp.einsum("bhn,bnp->bhp", attention, sources) / xp.where(sums > 0, sums, 1)
    flat = xp.reshape(means, (batch, -1))
    hidden = xp.maximum(xp.matmul(flat, weights["hidden"]) + weights["hidden_bias"], 0)
    return xp.matmul(flat, weights["kernel"]) + weights["bias"] + xp.matmul(hidden, weights["out"])


@dataclass(frozen=True)
class RecentLikes:
    """The last likes of some users, the latest first.

    Attributes:
        items: int32 [B, n], rows of the catalog; 0 where `weights` is 0.
        weights: float32 [B, n], of the likes; 0 past a user's first like.
    """

    items: NDArray[np.int32]
    weights: NDArray[np.float32]


def recent_likes(likes: History, length: int, *, users: NDArray[np.integer]) -> RecentLikes:
    """The `length` latest likes of each of `users`, positions in the history's `user_ids`; likes with one timestamp are
    in the order of a hash."""
    order = np.lexsort((tie_hashes(likes), likes.timestamp, likes.user))
    user = likes.user[order]
    end = np.cumsum(np.bincount(user, minlength=len(likes.user_ids)))
    age = end[user] - 1 - np.arange(len(user))  # number of later likes of the same user: the column
    row = np.full(len(likes.user_ids), -1)
    row[users] = np.arange(len(users))
    kept = (age < length) & (row[user] >= 0)
    items = np.zeros((len(users), length), np.int32)
    weights = np.zeros((len(users), length), np.float32)
    place = row[user[kept]], age[kept]
    items[place], weights[place] = likes.item[order][kept], likes.weight[order][kept]
    return RecentLikes(items, weights)
