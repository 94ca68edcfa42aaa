"""Column selection for a modality's vectors, by mutual information or by a group lasso, from training items."""

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import evenly_spaced
from fusion.data.projection import column_scale

MAX_ROWS = 2_000
"""Most rows used, evenly spaced: the nearest-neighbour estimate of mutual information is slow on more."""
WEAKEST, BISECTIONS = 1e-3, 8
"""Lowest strength of the group lasso that `by_l1_share` tries, and number of its bisection steps."""


def by_mutual_information(
    vectors: NDArray[np.float32], categories: NDArray[np.str_], *, share: float, seed: int
) -> NDArray[np.bool_]:
    """bool [d]: the `ceil(share * d)` columns with the most information about the item's category; ties go to the lower
    column.

    Mutual information of a continuous and a discrete variable, estimated from nearest neighbours (Ross 2014, "Mutual
    Information between Discrete and Continuous Data Sets").

    Args:
        vectors: float32 [n, d], items that have the modality.
        categories: str [n], "" where unknown; those rows are ignored. With fewer than two categories, every column is
            kept.
        share: above 0 and at most 1.
        seed: of the noise that is added to break ties between equal values.

    Raises:
        ValueError: `share` is out of its range, or the lengths of vectors and categories differ.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share {share}: expected above 0 and at most 1")
    rows = _rows(vectors, len(categories), known=categories != "")
    if len(np.unique(categories[rows])) < 2:
        return np.ones(vectors.shape[1], np.bool_)
    from sklearn.feature_selection import mutual_info_classif

    information = mutual_info_classif(vectors[rows], categories[rows], discrete_features=False, random_state=seed)
    kept = np.zeros(len(information), np.bool_)
    kept[np.argsort(-information, kind="stable")[: int(np.ceil(share * len(information)))]] = True
    return kept


def by_l1(vectors: NDArray[np.float32], targets: NDArray[np.floating], *, strength: float) -> NDArray[np.bool_]:
    """bool [d]: the columns with a weight other than 0 in a sparse linear map to the targets.

    The group lasso over columns, min ||Y - X B||² / 2n + λ sum over columns j of ||B_j|| (Obozinski, Taskar and Jordan
    2010), on standardised columns and centred targets. λ is `strength` times the least that leaves no column, which is
    max over j of ||X_jᵀ Y|| / n.

    Args:
        vectors: float32 [n, d], items that have the modality.
        targets: float [n, t], what the columns should predict, such as `one_hot` categories.
        strength: above 0; from 1 on, no column is kept.

    Raises:
        ValueError: `strength` is not above 0, or the lengths of vectors and targets differ.
    """
    if not strength > 0:
        raise ValueError(f"strength {strength}: expected more than 0")
    rows = _rows(vectors, len(targets), known=np.ones(len(targets), np.bool_))
    if not len(rows):
        return np.zeros(vectors.shape[1], np.bool_)
    x, y = vectors[rows].astype(np.float64), targets[rows].astype(np.float64)
    mean, scale = column_scale(x)
    x, y = (x - mean) / scale, y - y.mean(axis=0)
    most = np.linalg.norm(x.T @ y, axis=1).max(initial=0) / len(x)
    if most == 0 or strength >= 1:
        return np.zeros(x.shape[1], np.bool_)
    from sklearn.linear_model import MultiTaskLasso

    found = MultiTaskLasso(alpha=strength * most, fit_intercept=False, max_iter=5000).fit(x, y)
    return np.any(found.coef_ != 0, axis=0)


def by_l1_share(vectors: NDArray[np.float32], targets: NDArray[np.floating], *, share: float) -> NDArray[np.bool_]:
    """bool [d]: the columns that `by_l1` keeps at the strength, found by bisection, that keeps the most of them but no
    more than `ceil(share * d)`; at least one where any column predicts the targets at all.

    Args:
        share: above 0 and at most 1.

    Raises:
        ValueError: `share` is out of its range, or the lengths of vectors and targets differ.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share {share}: expected above 0 and at most 1")
    most, weak, strong = int(np.ceil(share * vectors.shape[1])), WEAKEST, 1.0
    best = by_l1(vectors, targets, strength=weak)
    if best.sum() <= most:
        return best
    for _ in range(BISECTIONS):
        # A stronger penalty keeps fewer columns; strengths span orders of magnitude, hence the geometric mean.
        strength = float(np.sqrt(weak * strong))
        kept = by_l1(vectors, targets, strength=strength)
        if kept.sum() > most:
            weak = strength
        else:
            strong = strength
        if kept.any() and (best.sum() > most or best.sum() < kept.sum() <= most):
            best = kept
    return best


def one_hot(categories: NDArray[np.str_]) -> NDArray[np.float32]:
    """float32 [n, C], 1 at the item's category; all 0 where it is ""."""
    names = np.unique(categories[categories != ""])
    return (categories[:, None] == names).astype(np.float32)


def _rows(vectors: NDArray[np.float32], n: int, *, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 [r]: indices of at most `MAX_ROWS` of the known rows, bool [n]."""
    if len(vectors) != n:
        raise ValueError(f"{len(vectors)} vectors and {n} targets: expected one a row")
    return evenly_spaced(np.nonzero(known)[0], most=MAX_ROWS)
