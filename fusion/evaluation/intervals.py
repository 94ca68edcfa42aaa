"""How far a mean over users may be trusted: bootstrap intervals, and a paired test of two models on the same users."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.evaluate import Figure

CONFIDENCE = 0.95
RESAMPLES = 1000
FLIPS = 10_000
EXACT_USERS = 12
"""With at most so many users who differ, all 2^n ways to flip signs are tried."""
CELLS = 4_000_000
"""How many drawn users or signs may be held at once."""


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """A model's figure minus a baseline's, over `users` users that both were asked of.

    `p_value` is how often a difference at least as large, in either direction, comes about by chance.
    """

    model: str
    baseline: str
    difference: float
    interval: Interval
    p_value: float
    users: int


def intervals(figures: Sequence[Figure], *, seed: int, resamples: int = RESAMPLES) -> list[Interval | None]:
    """Each figure's interval of 95% confidence, None for one that is no mean over users.

    The percentile bootstrap (Efron and Tibshirani 1993, chapter 13): users are drawn with replacement, as many as there
    are, `resamples` times; the ends are the 2.5% and 97.5% quantiles of the means, interpolated. Figures of the same
    users share their draws, so that intervals of two models are of one and the same resamples.
    """
    found: list[Interval | None] = [None] * len(figures)
    groups: dict[bytes, list[int]] = {}
    for place, figure in enumerate(figures):
        if len(figure.per_user):
            groups.setdefault(figure.users.tobytes(), []).append(place)
    for places in groups.values():
        values = np.stack([figures[place].per_user for place in places], axis=1)
        for place, interval in zip(places, _bootstrap(values, seed=seed, resamples=resamples), strict=True):
            found[place] = interval
    return found


def sign_flip_p(differences: NDArray[np.floating], *, seed: int, flips: int = FLIPS) -> float:
    """Two-sided p of a mean difference of 0, by the paired randomisation test (Fisher 1935, section 21; for rankings
    Smucker et al. 2007): without a difference between two models, each user's difference may as well have the other
    sign.

    Exact, over all flips, where at most `EXACT_USERS` users differ; else (b + 1) / (m + 1) where b of m = `flips`
    random ones are as extreme (Phipson and Smyth 2010).

    Args:
        differences: float [n], a user each, in any order that does not change from run to run.

    Raises:
        ValueError: there is no difference, or one is NaN.
    """
    if not len(differences) or np.isnan(differences).any():
        raise ValueError(f"{len(differences)} differences, {int(np.isnan(differences).sum())} NaN: expected numbers")
    differing = differences[differences != 0].astype(np.float64)
    n = len(differing)
    # Sums that differ by rounding alone are as extreme as each other.
    extreme = abs(differing.sum()) - 1e-12 * np.abs(differing).sum()
    if n <= EXACT_USERS:
        flipped = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float((np.abs((1 - 2 * flipped) @ differing) >= extreme).mean())
    random, count = np.random.default_rng(seed), 0
    for rows in _blocks(flips, n):
        flipped = random.integers(0, 2, size=(rows, n))
        count += int((np.abs((1 - 2 * flipped) @ differing) >= extreme).sum())
    return (count + 1) / (flips + 1)


def against_best(
    figures: Sequence[Figure],
    *,
    model: str,
    baselines: Sequence[str],
    metric: str,
    k: int | None,
    segment: str = "all",
    seed: int,
) -> PairedDifference:
    """A model beside the best of the baselines, that with the highest figure, the first of equals.

    Raises:
        ValueError: the model or all baselines have no such figure with a value a user, or were asked of other users.
    """
    wanted = (segment, metric, k)
    judged = {f.model: f for f in figures if (f.segment, f.metric, f.k) == wanted and len(f.per_user)}
    rivals = [name for name in baselines if name in judged and name != model]
    if model not in judged or not rivals:
        raise ValueError(
            f"{metric} at k {k} in {segment}: figures of {sorted(judged)}, expected {model} and some of {[*baselines]}"
        )
    best = max(rivals, key=lambda name: judged[name].value)
    mine, other = judged[model], judged[best]
    if not np.array_equal(mine.users, other.users):
        raise ValueError(f"{model} and {best}: {len(mine.users)} and {len(other.users)} users, expected the same")
    difference = mine.per_user - other.per_user
    (interval,) = _bootstrap(difference[:, None], seed=seed, resamples=RESAMPLES)
    p_value = sign_flip_p(difference, seed=seed)
    return PairedDifference(model, best, float(difference.mean()), interval, p_value, len(difference))


def _bootstrap(values: NDArray[np.float64], *, seed: int, resamples: int) -> list[Interval]:
    """The interval of each column's mean, for values float64 [n, F]."""
    random, n = np.random.default_rng(seed), len(values)
    means = []
    for rows in _blocks(resamples, n):
        drawn = random.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means.append(counts.astype(np.float64) @ values / n)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _blocks(rows: int, width: int) -> Iterator[int]:
    """`rows` in parts of at most `CELLS` cells."""
    size = max(1, CELLS // max(1, width))
    for start in range(0, rows, size):
        yield min(size, rows - start)
