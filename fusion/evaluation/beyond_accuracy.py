"""Metrics beyond accuracy, of the lists shown, relevant or not: novelty, diversity and popularity bias, a value a user;
exposure, coverage and its inequality over the catalog.

`shown` is int [B, K]: the items of a user's list in ranked order, negative where there is none. `likes` is int [N]: how
many users like each item. A list without an item gives NaN.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.evaluation.metrics import PerUser

Shown = NDArray[np.int64]


def novelty(shown: Shown, likes: NDArray[np.int64], n_users: int, *, k: int) -> PerUser:
    """Mean self-information of the first k: -log2 p(i), in bits, where p is the share of the users who like the item
    (Zhou et al. 2010, there called surprisal).

    p is (likes + 1) / (n_users + 2), Laplace's rule of succession, so that an item without a like has a finite value.
    """
    return _mean_over(shown[:, :k], -np.log2((likes + 1) / (n_users + 2)))


def diversity(shown: Shown, vectors: NDArray[np.float32], *, k: int) -> PerUser:
    """1 minus the mean cosine over the pairs of the first k (Smyth and McClave 2001, "diversity", with the cosine as
    similarity).

    Items without content are left out. For m unit vectors with sum s, the cosines of the m (m - 1) ordered pairs i != j
    add up to |s|² - m.

    Args:
        vectors: float32 [N, d], each of length 1, or all 0 for an item without content.

    Returns:
        float64 [B], NaN where fewer than two of the items have content.
    """
    rows, first = np.arange(len(shown)), shown[:, :k]
    has_content = np.asarray(vectors.any(axis=1))
    described = (first >= 0) & has_content[first]  # [B, k]; the -1 of an empty rank indexes some item and is masked
    m = described.sum(axis=1)
    # CSR [B, N] with a 1 for each described item of a list: its product with the vectors sums them up, a list a row.
    entries = (np.repeat(rows, m), first[described])
    picked = sp.csr_matrix((np.ones(m.sum(), np.float32), entries), shape=(len(shown), len(vectors)))
    total = (picked @ vectors).astype(np.float64)
    pairs = m * (m - 1)
    cosines = (total**2).sum(axis=1) - m
    return 1 - np.divide(cosines, pairs, out=np.full(len(shown), np.nan), where=pairs > 0)


def popularity_bias(shown: Shown, likes: NDArray[np.int64], liked: sp.csr_matrix, *, k: int) -> PerUser:
    """Mean popularity of the first k over the mean popularity of the user's known likes: 1 + the popularity lift of
    Abdollahpouri et al. 2020, for one user. Above 1, the list is more popular than the user's likes.

    Args:
        liked: CSR [B, N], an entry of 1 for every like of the user.

    Returns:
        float64 [B], NaN for a user without a like.
    """
    n_liked = np.diff(liked.indptr)
    own = np.divide(liked @ likes.astype(np.float64), n_liked, out=np.full(len(n_liked), np.nan), where=n_liked > 0)
    return _mean_over(shown[:, :k], likes.astype(np.float64)) / own


def exposure_counts(shown: Shown, n_items: int, *, k: int) -> NDArray[np.int64]:
    """int64 [n_items]: the number of lists that have the item among their first k."""
    first = shown[:, :k]
    return np.bincount(first[first >= 0], minlength=n_items)


def coverage(exposures: NDArray[np.int64]) -> float:
    """Share of the items with an exposure above 0 (Ge et al. 2010, catalog coverage)."""
    return float((exposures > 0).mean())


def gini(exposures: NDArray[np.int64]) -> float:
    """Gini index of the exposures, from 0, all items alike, to 1, one item alone (Shani and Gunawardana 2011, section
    8.3.3): sum over j of (2j - n - 1) p_j, over n - 1, with shares p ascending. NaN where nothing is shown, or for a
    catalog of one item."""
    n, total = len(exposures), exposures.sum()
    if n < 2 or not total:
        return float("nan")
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(exposures) / (total * (n - 1)))


def _mean_over(first: Shown, values: NDArray[np.float64]) -> PerUser:
    """Mean of `values`, float64 [N], over the items of each row; NaN for an empty row."""
    there = first >= 0
    count = there.sum(axis=1)
    total = np.where(there, values[first], 0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(first), np.nan), where=count > 0)
