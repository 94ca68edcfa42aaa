"""ROC and precision-recall curves of a whole model: one threshold for the pooled scores of all users and candidates.

Unlike rankings they tell whether scores of different users can be compared: a model that ranks well for everyone may
still score one user's best below another's worst.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import Scorer
from fusion.data.splits import Split
from fusion.evaluation.evaluate import Figure
from fusion.evaluation.protocol import Judgements, batches

PERCENT = np.arange(101)


@dataclass(frozen=True)
class Confusion:
    """What is called relevant at each threshold. The thresholds are the T different scores of relevant pairs, falling.

    Attributes:
        hits: int64 [T], relevant pairs that score at least the threshold; the last is their number, at least 1.
        alarms: int64 [T], other pairs that score at least the threshold.
        alarms_above: int64 [T], other pairs that score more.
        others: their number, at least 1.
    """

    hits: NDArray[np.int64]
    alarms: NDArray[np.int64]
    alarms_above: NDArray[np.int64]
    others: int

    @property
    def relevant(self) -> int:
        return int(self.hits[-1])

    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ROC curve's corners, false positive rate and true positive rate, from (0, 0) to (1, 1), neither ever
        falling. A tie of relevant and other pairs is a slope between two corners (Fawcett 2006)."""
        fewer = np.concatenate([[0], self.hits[:-1]])
        x = np.concatenate([[0], np.stack([self.alarms_above, self.alarms], axis=1).ravel(), [self.others]])
        y = np.concatenate([[0], np.stack([fewer, self.hits], axis=1).ravel(), [self.relevant]])
        return x / self.others, y / self.relevant

    def roc(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The highest true positive rate at each false positive rate (between 0 and 1)."""
        x, y = self.corners()
        right = np.minimum(np.searchsorted(x, rates, side="right"), len(x) - 1)
        left = np.searchsorted(x, rates, side="right") - 1
        run = x[right] - x[left]
        share = np.divide(rates - x[left], run, out=np.zeros(len(rates)), where=run > 0)
        return y[left] + share * (y[right] - y[left])

    def area(self) -> float:
        """Area under the ROC curve, by the trapezoidal rule (Fawcett 2006)."""
        x, y = self.corners()
        return float(np.trapezoid(y, x))

    def precision(self, recalls: NDArray[np.int64]) -> NDArray[np.float64]:
        """Interpolated precision: the highest at this recall, in whole percent, or more (Manning et al. 2008,
        eq. 8.7)."""
        best = np.maximum.accumulate((self.hits / (self.hits + self.alarms))[::-1])[::-1]
        return best[np.searchsorted(100 * self.hits, recalls * self.relevant)]

    def average_precision(self) -> float:
        """Sum over thresholds of the precision times what it adds to recall (Manning et al. 2008, section 8.4), pairs
        of one score taken together."""
        return float((np.diff(self.hits, prepend=0) * self.hits / (self.hits + self.alarms)).sum() / self.relevant)


def curves(scorers: Mapping[str, Scorer], *, split: Split, split_name: str, n_items: int) -> list[Figure]:
    """Every model's curves over the pairs of a user who is asked and a candidate: `roc`, the true positive rate at `k`
    percent false positives; `pr`, the interpolated precision at `k` percent recall; both for k from 0 to 100;
    `pooled_auc` and `average_precision`. Nothing without a relevant and another pair.

    Exact, in memory that grows with the relevant pairs alone: a model is asked twice, first for the thresholds, then
    for what lies above them. NaN is the worst score.

    Raises:
        ValueError: a scorer's answer has the wrong shape.
    """
    judgements = Judgements.of(split, n_items)
    relevant = judgements.relevant(np.ones(len(judgements.test), np.bool_))
    figures: list[Figure] = []
    for name, scorer in scorers.items():
        confusion = _confusion(judgements, relevant, name, scorer)
        if confusion is None:
            continue
        rows = [("roc", PERCENT, confusion.roc(PERCENT / 100)), ("pr", PERCENT, confusion.precision(PERCENT))]
        for metric, ks, values in rows:
            figures += [Figure.of_all(name, split_name, metric, int(k), v) for k, v in zip(ks, values, strict=True)]
        figures.append(Figure.of_all(name, split_name, "pooled_auc", None, confusion.area()))
        figures.append(Figure.of_all(name, split_name, "average_precision", None, confusion.average_precision()))
    return figures


def _confusion(judgements: Judgements, relevant: sp.csr_matrix, name: str, scorer: Scorer) -> Confusion | None:
    users = np.flatnonzero(np.diff(relevant.indptr))
    if not len(users):
        return None
    found = []
    for batch in batches(users, judgements.n_items):
        found.append(_scores(judgements, name, scorer, batch)[relevant[batch].nonzero()])
    thresholds, counts = np.unique(np.concatenate(found), return_counts=True)
    above, at_least, others = np.zeros(len(thresholds), np.int64), np.zeros(len(thresholds), np.int64), 0
    for batch in batches(users, judgements.n_items):
        scores = _scores(judgements, name, scorer, batch)
        rest = np.sort(scores[judgements.candidates(batch) & ~relevant[batch].toarray()])
        above += len(rest) - np.searchsorted(rest, thresholds, side="right")
        at_least += len(rest) - np.searchsorted(rest, thresholds, side="left")
        others += len(rest)
    if not others:
        return None
    return Confusion(np.cumsum(counts[::-1]), at_least[::-1], above[::-1], others)


def _scores(judgements: Judgements, name: str, scorer: Scorer, users: NDArray[np.int64]) -> NDArray[np.float32]:
    scores = judgements.scores(name, scorer, users)
    return np.where(np.isnan(scores), -np.inf, scores)
