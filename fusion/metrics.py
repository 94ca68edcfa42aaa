"""Ranking metrics, one value a user. Every function takes whole-catalog rankings; none averages.

`hits` is bool [B, K]: place j of a row says whether the item ranked j-th is relevant; a place without an item is False.
`n_relevant` is int [B], at least 1: how many of a user's candidates are relevant. Results are float64 [B].
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
PerUser = NDArray[np.float64]


def recall(hits: Hits, n_relevant: NDArray[np.int64], *, k: int) -> PerUser:
    """Hits among the first k over all relevant items (Manning et al. 2008, eq. 8.2, cut at k)."""
    return np.asarray(hits[:, :k].sum(axis=1) / n_relevant)


def precision(hits: Hits, *, k: int) -> PerUser:
    """Hits among the first k over k (Manning et al. 2008, eq. 8.1, cut at k), also where fewer than k are ranked."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def f1(hits: Hits, n_relevant: NDArray[np.int64], *, k: int) -> PerUser:
    """Harmonic mean of precision and recall at k (Manning et al. 2008, eq. 8.6); 0 without a hit.

    2PR / (P + R) with P = h/k and R = h/n is 2h / (k + n).
    """
    return np.asarray(2 * hits[:, :k].sum(axis=1) / (k + n_relevant))


def hit_rate(hits: Hits, *, k: int) -> PerUser:
    """1 where the first k hold a relevant item, else 0 (Deshpande and Karypis 2004, section 5.2)."""
    return np.asarray(hits[:, :k].any(axis=1), np.float64)


def ndcg(hits: Hits, n_relevant: NDArray[np.int64], *, k: int) -> PerUser:
    """Binary nDCG at k: gain 1 at place j discounted by 1/log2(j + 1) (Järvelin and Kekäläinen 2002, base 2, with the
    first place discounted as log2(2)), over the same sum for min(k, n_relevant) hits at the top."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    places = min(k, hits.shape[1])
    ideal = np.cumsum(discount)[np.minimum(n_relevant, k) - 1]
    return (hits[:, :places] * discount[:places]).sum(axis=1) / ideal


def accuracy(hits: Hits, n_relevant: NDArray[np.int64], n_candidates: NDArray[np.int64], *, k: int) -> PerUser:
    """Share of candidates decided rightly when the first k are called relevant and the others not:
    (TP + TN) / candidates (Manning et al. 2008, section 8.3).

    With h hits, min(k, candidates) - h items are wrongly called and n_relevant - h wrongly left. Since nearly every
    candidate is irrelevant, it lies near 1 for any model: compare models, not data sets.
    """
    h = hits[:, :k].sum(axis=1)
    wrong = (np.minimum(k, n_candidates) - h) + (n_relevant - h)
    return 1 - wrong / n_candidates


def auc(scores: NDArray[np.float32], relevant: NDArray[np.bool_], candidates: NDArray[np.bool_]) -> PerUser:
    """Area under each user's ROC curve over the candidates: the chance that a relevant one outscores another, a tie
    counting half (Hanley and McNeil 1982; the Mann-Whitney statistic).

    Args:
        scores: float [B, N].
        relevant: bool [B, N]; only those among the candidates count.
        candidates: bool [B, N].

    Returns:
        float64 [B]; NaN for a user whose candidates are all relevant or all not.
    """
    values = np.full(len(scores), np.nan)
    for row, (line, wanted, allowed) in enumerate(zip(scores, relevant, candidates, strict=True)):
        positive, negative = line[wanted & allowed], np.sort(line[allowed & ~wanted])
        if len(positive) and len(negative):
            below = np.searchsorted(negative, positive, side="left").mean()
            not_above = np.searchsorted(negative, positive, side="right").mean()
            values[row] = (below + not_above) / 2 / len(negative)
    return values


def coverage(rankings: Iterable[NDArray[np.int64]], n_items: int, *, k: int) -> float:
    """Share of the catalog that stands among the first k of any user (Ge et al. 2010, catalog coverage).

    Args:
        rankings: blocks of int [B, K], items in ranked order, negative where there is none.
    """
    shown = np.zeros(n_items, np.bool_)
    for ranking in rankings:
        first = ranking[:, :k]
        shown[first[first >= 0]] = True
    return float(shown.mean())
