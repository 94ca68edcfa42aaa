"""Ranking metrics with one value a user, not averaged: recall, ndcg, average precision, auc and so on.

`hits` is bool [B, K]: whether the item at rank j, the j-th column from 1, is relevant; False at a rank without an item.
`n_relevant` is int [B], at least 1: how many of a user's candidates are relevant. Results are float64 [B].
"""

import numpy as np
import scipy.sparse as sp
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
    """Binary nDCG at k: gain 1 at rank j discounted by 1/log2(j + 1) (Järvelin and Kekäläinen 2002, base 2, with rank 1
    discounted as log2(2)), over the same sum for min(k, n_relevant) hits at the top.

    >>> hits = np.array([[True, False, True], [False, False, False]])
    >>> ndcg(hits, np.array([2, 1]), k=3).round(3).tolist()  # (1 + 1/2) / (1 + 1/log2(3)), and no hit
    [0.92, 0.0]
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ranks = min(k, hits.shape[1])
    # [B]: entry m - 1 of the running sum is the best possible sum with m hits.
    ideal = np.cumsum(discount)[np.minimum(n_relevant, k) - 1]
    return (hits[:, :ranks] * discount[:ranks]).sum(axis=1) / ideal


def average_precision(hits: Hits, n_relevant: NDArray[np.int64], *, k: int) -> PerUser:
    """Sum of the precisions at the ranks of the hits among the first k (Manning et al. 2008, eq. 8.8, cut at k), over
    min(k, n_relevant): 1 for a ranking that could not be better. Its mean over users is MAP@k."""
    first = hits[:, :k]
    # [B, k]: the precision at every rank, of which only those at hits are summed.
    precisions = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return (precisions * first).sum(axis=1) / np.minimum(n_relevant, k)


def reciprocal_rank(hits: Hits, *, k: int) -> PerUser:
    """1 over the rank of the first hit, 0 without one in the first k (Voorhees 1999). Its mean over users is MRR@k."""
    first = hits[:, :k]
    return first.any(axis=1) / (1 + first.argmax(axis=1)) if first.shape[1] else np.zeros(len(first))


def accuracy(hits: Hits, n_relevant: NDArray[np.int64], n_candidates: NDArray[np.int64], *, k: int) -> PerUser:
    """Share of candidates classified correctly when the first k are predicted to be relevant and the others not:
    (TP + TN) / candidates (Manning et al. 2008, section 8.3).

    With h hits, min(k, candidates) - h items are false positives and n_relevant - h false negatives. Since nearly every
    candidate is irrelevant, it lies near 1 for any model: compare models, not data sets.
    """
    h = hits[:, :k].sum(axis=1)
    wrong = (np.minimum(k, n_candidates) - h) + (n_relevant - h)
    return 1 - wrong / n_candidates


def midranks(scores: NDArray[np.float32], candidates: NDArray[np.bool_], wanted: sp.csr_matrix) -> NDArray[np.float64]:
    """Ranks of some candidates among all candidates of their row, 1 for the lowest score; ties share their mean rank.

    Args:
        scores: float [B, N]; NaN is below any number, as in `fusion.ranking.top_k.top_k`.
        candidates: bool [B, N].
        wanted: CSR [B, N], an entry for every candidate whose rank is wanted.

    Returns:
        float64 [n], a rank for each entry of `wanted`, in the order of its `indices`.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    ranks = np.empty(wanted.nnz)
    # The entries of a CSR row are indices[start:stop]: its columns, so here the items.
    for row, (start, stop) in enumerate(zip(wanted.indptr[:-1], wanted.indptr[1:], strict=True)):
        ascending, own = np.sort(scores[row, candidates[row]]), scores[row, wanted.indices[start:stop]]
        # Of candidates with this score, the first has rank below + 1 and the last has rank up_to; the mean of both.
        below, up_to = (np.searchsorted(ascending, own, side=side) for side in ("left", "right"))
        ranks[start:stop] = (below + 1 + up_to) / 2
    return ranks


def auc(rank_sums: NDArray[np.float64], n_relevant: NDArray[np.int64], n_candidates: NDArray[np.int64]) -> PerUser:
    """Area under each user's ROC curve over the candidates: the probability that a relevant one scores above another,
    a tie counting half (Hanley and McNeil 1982; the Mann-Whitney statistic).

    With n relevant candidates and q others it is (rank sum - n(n + 1)/2) / nq (Mann and Whitney 1947).

    Args:
        rank_sums: float64 [B], the sum of the relevant candidates' `midranks`.
        n_candidates: int [B].

    Returns:
        float64 [B]; NaN for a user whose candidates are all relevant or all not.
    """
    outscored = rank_sums - n_relevant * (n_relevant + 1) / 2
    pairs = n_relevant * (n_candidates - n_relevant)
    return np.divide(outscored, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
