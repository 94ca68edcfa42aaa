"""How scores become probabilities, and how far these are to be believed."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusion.evaluation.evaluate import Figure
from fusion.evaluation.protocol import Pool
from fusion.ranking.sigmoid import Sigmoid

BINS = 10


def platt(scores: NDArray[np.float32], true: NDArray[np.bool_]) -> Sigmoid:
    """Logistic regression on the score, with Platt's targets (Platt 1999): (p + 1) / (p + 2) for the p true ones and
    1 / (q + 2) for the q others, so that it stays finite where a threshold parts them. Each pair counts as both true
    and not, weighted by its target.

    Args:
        scores: float [n], finite.
        true: bool [n], both kinds among them.
    """
    p, q = int(true.sum()), int((~true).sum())
    target = np.where(true, (p + 1) / (p + 2), 1 / (q + 2))
    # The loss is a mean over pairs, of which few are true: the default tolerance stops too early.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000))
    model.fit(
        np.tile(scores.astype(np.float64), 2)[:, None],
        np.repeat([True, False], len(scores)),
        logisticregression__sample_weight=np.concatenate([target, 1 - target]),
    )
    scale, regression = model["standardscaler"], model["logisticregression"]
    slope = regression.coef_[0, 0] / scale.scale_[0]
    return Sigmoid(float(slope), float(regression.intercept_[0] - slope * scale.mean_[0]))


def isotonic(
    scores: NDArray[np.float32], true: NDArray[np.bool_]
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """The function of the score that never falls and has the least squared error (Zadrozny and Elkan 2002); beyond the
    scores it was fitted to it stays level. Arguments as of `platt`."""
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, true)
    return lambda asked: model.predict(asked).astype(np.float64)


def reliability(
    predicted: NDArray[np.float64], true: NDArray[np.bool_], *, bins: int = BINS
) -> dict[tuple[str, int | None], float]:
    """How far predictions agree with what came true, in bins of about equal count: `predicted`, the mean probability,
    and `observed`, the share that came true, of each bin that holds something, from 1, the lowest; `error`, without a
    bin, the expected calibration error: mean over the predictions of their bin's |observed - predicted| (Naeini et al.
    2015).

    Bins are those of `sklearn.calibration.calibration_curve(strategy="quantile")`, which returns neither their numbers
    nor their counts: they end at the predictions' quantiles, a prediction equal to one being in the bin below, so that
    equal predictions share a bin. Of equal widths the lowest would hold nearly all, since hardly any candidate is
    relevant.
    """
    ends = np.percentile(predicted, 100 * np.linspace(0, 1, bins + 1)[1:-1])
    bin_, which, count = np.unique(np.searchsorted(ends, predicted), return_inverse=True, return_counts=True)
    means, shares = (np.bincount(which, weights=values) / count for values in (predicted, true))
    found: dict[tuple[str, int | None], float] = {}
    for k, mean, share in zip((bin_ + 1).tolist(), means.tolist(), shares.tolist(), strict=True):
        found |= {("predicted", k): mean, ("observed", k): share}
    return found | {("error", None): float(np.average(np.abs(shares - means), weights=count))}


def calibration(pools: Mapping[str, Pool], *, split_name: str) -> list[Figure]:
    """How well every model's scores give the probability that a candidate is relevant, by Platt scaling and by isotonic
    regression: `platt_predicted` and `platt_observed` of the bin k, and `platt_error`, as of `reliability`; and the
    same for `isotonic`.

    Of the users of a model's pool those at even places fit the function from scores to probabilities, and those at odd
    places judge it. Nothing where fewer than two users are evaluated, or those who fit have relevant candidates only.

    Raises:
        ValueError: a score is not finite.
    """
    figures: list[Figure] = []
    for name, pool in pools.items():
        scores, relevant, places = pool.pairs()
        if not np.isfinite(scores).all():
            raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores of {name} are not finite: expected numbers")
        fits = places % 2 == 0
        if fits.all() or relevant[fits].all():
            continue
        for method, fit in (("platt", platt), ("isotonic", isotonic)):
            predicted = fit(scores[fits], relevant[fits])(scores[~fits])
            figures += [
                Figure.of_all(name, split_name, f"{method}_{what}", k, value)
                for (what, k), value in reliability(predicted, relevant[~fits]).items()
            ]
    return figures


def sigmoid_of(pool: Pool, users: NDArray[np.bool_]) -> Sigmoid | None:
    """What maps a model's scores to probabilities, fitted on the pairs of some users; None where these have no relevant
    candidate, or no other.

    Args:
        users: bool [U], by their place in the history.

    Raises:
        ValueError: a score is not finite.
    """
    scores, relevant, place = pool.pairs()
    asked = users[pool.users[place]]
    if not np.isfinite(scores[asked]).all():
        raise ValueError(f"{int((~np.isfinite(scores[asked])).sum())} scores are not finite: expected numbers")
    if not relevant[asked].any() or relevant[asked].all():
        return None
    return platt(scores[asked], relevant[asked])
