"""How far a mean over users may be trusted: bootstrap intervals, and a paired test of two models on the same users."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, monte_carlo_test, permutation_test

from fusion.evaluation.evaluate import Figure

CONFIDENCE = 0.95
RESAMPLES = 1000
FLIPS = 9_999
CELLS = 4_000_000
"""How many drawn users or signs may be held at once."""


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def intervals(figures: Sequence[Figure], *, seed: int) -> list[Interval | None]:
    """Each figure's interval of 95% confidence, None for one that is no mean over users.

    The percentile bootstrap (Efron and Tibshirani 1993, chapter 13) with `RESAMPLES` draws of as many users as there
    are. Figures of the same users share their draws, so that intervals of two models are of one and the same resamples.
    """
    found: list[Interval | None] = [None] * len(figures)
    groups: dict[bytes, list[int]] = {}
    for place, figure in enumerate(figures):
        if len(figure.per_user):
            groups.setdefault(figure.users.tobytes(), []).append(place)
    for places in groups.values():
        ends = _bootstrap(np.stack([figures[place].per_user for place in places]), seed=seed)
        for place, (low, high) in zip(places, ends.tolist(), strict=True):
            found[place] = Interval(low, high)
    return found


def sign_flip_p(differences: NDArray[np.floating], *, seed: int) -> float:
    """Two-sided p of a mean difference of 0, by the paired randomisation test (Fisher 1935, section 21; for rankings
    Smucker et al. 2007): without a difference between two models, each user's difference may as well have the other
    sign. Twice the smaller one-sided p, at most 1.

    Exact, over all flips, where these are at most `FLIPS`; else (b + 1) / (m + 1) where b of m = `FLIPS` random ones
    are as extreme (Phipson and Smyth 2010).

    Args:
        differences: float [n], a user each, in any order that does not change from run to run.

    Raises:
        ValueError: there is no difference, or one is NaN.
    """
    if not len(differences) or np.isnan(differences).any():
        raise ValueError(f"{len(differences)} differences, {int(np.isnan(differences).sum())} NaN: expected numbers")
    differing = differences[differences != 0].astype(np.float64)
    n = len(differing)
    if n < 2:
        # Either sign of one difference is as extreme as the other, and scipy refuses a sample of one.
        return 1.0
    if 2**n <= FLIPS:
        exact = permutation_test((differing,), np.mean, permutation_type="samples", n_resamples=FLIPS)
        return float(exact.pvalue)
    # permutation_test draws the same flips, but permutes in a Python loop over users: ten times slower for 10,000.
    random = np.random.default_rng(seed)

    def flipped(size: tuple[int, ...]) -> NDArray[np.float64]:
        return random.choice([-1.0, 1.0], size=size) * differing

    drawn = monte_carlo_test(differing, flipped, np.mean, n_resamples=FLIPS, batch=max(1, CELLS // n))
    return float(drawn.pvalue)


def _bootstrap(values: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """float64 [F, 2]: the ends of the interval of each row's mean, for values float64 [F, n]; of equal values, which
    one user's are, the value itself."""
    n = values.shape[1]
    ends = np.repeat(values[:, :1], 2, axis=1)
    varied = np.ptp(values, axis=1) > 0
    if not varied.any():
        return ends
    rows = values[varied].T

    def means(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        """float64 [F, B]: the rows' means over each draw of users, int64 [B, n]."""
        counts = np.array([np.bincount(users, minlength=n) for users in drawn], np.float64)
        return (counts @ rows).T / n

    # What is drawn is users, once for all rows: a product with how often each was drawn is the sum of all figures.
    interval = bootstrap(
        (np.arange(n),),
        means,
        n_resamples=RESAMPLES,
        batch=max(1, CELLS // n),
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=seed,
    ).confidence_interval
    ends[varied] = np.stack([interval.low, interval.high], axis=1)
    return ends
