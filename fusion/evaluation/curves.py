"""ROC and precision-recall curves of a whole model: one threshold for the pooled scores of all users and candidates.

Unlike rankings they show whether scores of different users can be compared: a model that ranks well for everyone may
still score one user's best below another's worst.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from fusion.evaluation.evaluate import Figure
from fusion.evaluation.protocol import Pool

PERCENT = np.arange(101)
WORST, BEST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


def curves(pools: Mapping[str, Pool], *, split_name: str) -> list[Figure]:
    """Every model's curves over its pool: `roc`, the true positive rate at `k` percent
    false positives; `pr`, the interpolated precision at `k` percent recall; both for k from 0 to 100; `pooled_auc`,
    the area under the ROC curve by the trapezoidal rule (Fawcett 2006); and `average_precision` (Manning et al. 2008,
    section 8.4, pairs of one score taken together). Nothing without a relevant and another pair. NaN is the worst
    score."""
    figures: list[Figure] = []
    for name, pool in pools.items():
        scores, relevant, _ = pool.pairs()
        if relevant.all() or not relevant.any():
            continue
        # scikit-learn refuses NaN and infinities, and sorts three times, which is quick where scores fall already.
        falling = np.argsort(-scores)
        relevant, finite = relevant[falling], scores[falling].astype(np.float64)
        np.nan_to_num(finite, copy=False, nan=WORST, neginf=WORST, posinf=BEST)
        false_positives, true_positives, _ = roc_curve(relevant, finite)
        roc = np.interp(PERCENT / 100, false_positives, true_positives)
        for metric, values in (("roc", roc), ("pr", _interpolated_precision(relevant, finite))):
            figures += [
                Figure.of_all(name, split_name, metric, int(k), v) for k, v in zip(PERCENT, values, strict=True)
            ]
        figures += [
            Figure.of_all(name, split_name, "pooled_auc", None, auc(false_positives, true_positives)),
            Figure.of_all(name, split_name, "average_precision", None, average_precision_score(relevant, finite)),
        ]
    return figures


def _interpolated_precision(relevant: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [101]: the highest precision at a recall of k percent or more (Manning et al. 2008, eq. 8.7)."""
    precision, recall, _ = precision_recall_curve(relevant, scores)
    # Recall falls; the last point, precision 1 at recall 0, belongs to no threshold.
    best, recall = np.maximum.accumulate(precision[:-1])[::-1], recall[:-1][::-1]
    return best[np.searchsorted(recall, PERCENT / 100)]
