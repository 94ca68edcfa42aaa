"""Scores as probabilities, and how far these are to be believed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from fusion.data.catalog import Scorer
from fusion.data.splits import Split
from fusion.evaluation.evaluate import Figure
from fusion.evaluation.protocol import Judgements, batches

BINS = 10
Probability = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Scores [n] → probabilities [n]."""


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of about equal count, from the lowest up; equal predictions share a bin.

    Attributes:
        bins: int64 [b], the bins that hold something, from 1.
        predicted, observed: float64 [b], mean probability, and share that came true.
        count: int64 [b].
    """

    bins: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, predicted: NDArray[np.float64], true: NDArray[np.bool_], *, bins: int = BINS) -> "Reliability":
        """The bins' borders are the predictions at the places n/bins, 2n/bins, ... in rising order; a border is in the
        bin above it. Equal widths would put nearly all in the lowest, since hardly any candidate is relevant."""
        borders = np.sort(predicted)[np.arange(1, bins) * len(predicted) // bins]
        which = np.searchsorted(borders, predicted, side="right")
        count = np.bincount(which, minlength=bins)
        there = np.flatnonzero(count)
        means = [np.bincount(which, weights=of, minlength=bins)[there] / count[there] for of in (predicted, true)]
        return cls(there + 1, means[0], means[1], count[there])

    def error(self) -> float:
        """Expected calibration error: mean over the predictions of their bin's |observed - predicted| (Naeini et al.
        2015)."""
        return float(self.count @ np.abs(self.observed - self.predicted) / self.count.sum())


def platt(scores: NDArray[np.float32], true: NDArray[np.bool_]) -> Probability:
    """Logistic regression on the score, with Platt's targets (Platt 1999): (p + 1) / (p + 2) for the p true ones and
    1 / (q + 2) for the q others, so that it stays finite where a threshold parts them. Each pair counts as both true
    and not, weighted by its target.

    Args:
        scores: float [n], finite.
        true: bool [n], both kinds among them.
    """
    p, q = int(true.sum()), int((~true).sum())
    target = np.where(true, (p + 1) / (p + 2), 1 / (q + 2))
    middle, spread = float(scores.mean(dtype=np.float64)), float(scores.std(dtype=np.float64)) or 1.0

    def standard(values: NDArray[np.float32]) -> NDArray[np.float64]:
        return ((values.astype(np.float64) - middle) / spread)[:, None]

    model = LogisticRegression(C=np.inf, max_iter=1000)
    both = np.tile(standard(scores), (2, 1))
    model.fit(both, np.repeat([1, 0], len(scores)), sample_weight=np.concatenate([target, 1 - target]))
    return lambda values: model.predict_proba(standard(values))[:, 1]


def isotonic(scores: NDArray[np.float32], true: NDArray[np.bool_]) -> Probability:
    """The function of the score that never falls and has the least squared error (Zadrozny and Elkan 2002); beyond the
    scores it was fitted to it stays level.

    Args:
        scores: float [n], finite.
        true: bool [n].
    """
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, true)
    return lambda values: model.predict(values).astype(np.float64)


def calibration(
    scorers: Mapping[str, Scorer], *, split: Split, split_name: str, n_items: int, seed: int, bins: int = BINS
) -> list[Figure]:
    """How well every model's scores tell the probability that a candidate is relevant, by Platt scaling and by isotonic
    regression: `platt_predicted` and `platt_observed`, of the bin k of `Reliability`; `platt_error`, the expected
    calibration error; and the same for `isotonic`.

    The users who are asked are shuffled by the seed; those at even places fit the function from scores to
    probabilities, those at odd places judge it. There are at most so many that all their scores are held at once.
    Nothing where fewer than two users are asked, or those who fit have relevant candidates only.

    Raises:
        ValueError: a scorer's answer has the wrong shape or is not finite for some candidate.
    """
    judgements = Judgements.of(split, n_items)
    relevant = judgements.relevant(np.ones(len(judgements.test), np.bool_))
    users = np.random.default_rng(seed).permutation(np.flatnonzero(np.diff(relevant.indptr)))
    users = next(batches(users, n_items), users)
    fitting, judging = users[0::2], users[1::2]
    figures: list[Figure] = []
    for name, scorer in scorers.items() if len(judging) else ():
        scores, true = _pairs(judgements, relevant, name, scorer, fitting)
        if true.all():
            continue
        judged_scores, judged_true = _pairs(judgements, relevant, name, scorer, judging)
        for method, fit in (("platt", platt), ("isotonic", isotonic)):
            reliability = Reliability.of(fit(scores, true)(judged_scores), judged_true, bins=bins)
            for what, values in (("predicted", reliability.predicted), ("observed", reliability.observed)):
                figures += [
                    Figure.of_all(name, split_name, f"{method}_{what}", int(k), value)
                    for k, value in zip(reliability.bins, values, strict=True)
                ]
            figures.append(Figure.of_all(name, split_name, f"{method}_error", None, reliability.error()))
    return figures


def _pairs(
    judgements: Judgements, relevant: sp.csr_matrix, name: str, scorer: Scorer, users: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores [n] of the users' candidates, and whether each is relevant."""
    candidates = judgements.candidates(users)
    scores = judgements.scores(name, scorer, users)[candidates]
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores of {name} are not finite: expected numbers")
    return scores, relevant[users].toarray()[candidates]
