"""Items whose modalities contradict one another: a picture of something else than the text speaks of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from fusion.crossmodal.alignment import Alignment, agreement
from fusion.crossmodal.canonical import Canonical
from fusion.crossmodal.views import Views

SHUFFLES = 10
"""How often each item is paired with a stranger to learn what chance looks like."""
MIN_PAIRS = 50
"""With fewer training items that have both modalities, a pair of modalities tells nothing."""
NULL_QUANTILE = 0.95
"""Of shuffled pairs: what agrees less looks like chance."""
LARGEST = np.float32(1 - 1e-6)
"""Cosines are cut off here."""
TAIL = (0.25, 0.1)
"""Shares of true pairs, from below, that tell how far their scores spread downwards."""


@dataclass(frozen=True)
class Contradictions:
    """What is known of N items.

    Attributes:
        score: float32 [N], how many standard deviations above that of strangers an item's best-agreeing pair of
            modalities agrees; NaN for an item that has no pair which tells anything.
        flag: bool [N], the item's modalities contradict one another.
        pairs: two modalities that tell something of one another → float32 [N], the score of that pair; NaN where the
            item lacks one of them.
        limits: those pairs → the score below which a pair looks wrong.
    """

    score: NDArray[np.float32]
    flag: NDArray[np.bool_]
    pairs: Mapping[tuple[str, str], NDArray[np.float32]]
    limits: Mapping[tuple[str, str], float]


def contradictions(
    views: Views,
    *,
    train: NDArray[np.bool_],
    seed: int,
    rate: float = 0.001,
    folds: int = 5,
    alignment: Callable[[], Alignment] = Canonical,
) -> Contradictions:
    """Finds them by alignment.

    The agreement of two modalities is their cosine in the space that they share, standardised by mean and standard
    deviation of the agreement of shuffled pairs. A pair looks wrong if its score is so low that a share of `rate` of
    true pairs would be as low by chance (`limit`), and below the `NULL_QUANTILE` of shuffled ones. An item is flagged
    if each of its pairs looks wrong: one modality that contradicts two which agree is not enough. Two modalities whose
    median true score is not above the `NULL_QUANTILE` of shuffled ones tell nothing and play no part: where pictures
    say little of texts, nothing is flagged.

    Training items are scored by alignments that have not seen them (cross-fitting, as in Chernozhukov et al. 2018), and
    limits are of these scores; other items are scored by the mean of those alignments.

    Args:
        train: bool [N], the items to learn from.
        rate: of false alarms, above 0 and below 0.5: how many of the items whose modalities agree are flagged.
        folds: how many alignments there are, each fitted without one fold; at least 2.
        alignment: makes one, unfitted.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 < rate < 0.5 or folds < 2 or train.shape != (len(views),):
        raise ValueError(
            f"rate {rate}, folds {folds} and train {train.shape}: expected a share between 0 and 0.5, at least 2, and "
            f"({len(views)},)"
        )
    alignments = [alignment() for _ in range(folds)]
    found: dict[tuple[str, str], NDArray[np.float32]] = {}
    limits: dict[tuple[str, str], float] = {}
    for pair in views.pairs:
        two = Views({m: views.x[m] for m in pair}, {m: views.masks[m] for m in pair})
        if (two.both(*pair) & train).sum() < MIN_PAIRS:
            continue
        score, strangers = _scores(two, train=train, seed=seed, alignments=alignments)
        true, null = score[train & ~np.isnan(score)], float(np.quantile(strangers, NULL_QUANTILE))
        if np.median(true) > null:
            found[pair], limits[pair] = score, min(limit(true, rate=rate), null)
    return _judged(found, limits, n=len(views))


def limit(scores: NDArray[np.float32], *, rate: float) -> float:
    """The score below which a share of `rate` of true pairs lies, were their lower half normal: median + z_rate s, with
    z the standard normal quantile. s is the larger of what the lower quartile and the lowest tenth tell of the
    deviation, so that a long lower tail raises no alarms and a few contradictions among the scores move it little
    (quantile estimators of scale: Huber and Ronchetti 2009, "Robust Statistics", chapter 5)."""
    median = float(np.median(scores))
    told = [(float(np.quantile(scores, share)) - median) / float(norm.ppf(share)) for share in TAIL]
    return median + float(norm.ppf(rate)) * max(told)


def _judged(
    found: Mapping[tuple[str, str], NDArray[np.float32]], limits: Mapping[tuple[str, str], float], *, n: int
) -> Contradictions:
    score, known, wrong = np.full(n, np.nan, np.float32), np.zeros(n, np.bool_), np.ones(n, np.bool_)
    for pair, scores in found.items():
        here = ~np.isnan(scores)
        score, known = np.fmax(score, scores), known | here
        wrong &= ~here | (scores < limits[pair])
    return Contradictions(score, known & wrong, found, limits)


def _scores(
    views: Views, *, train: NDArray[np.bool_], seed: int, alignments: Sequence[Alignment]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of two modalities: float32 [N], each item's score, NaN where it lacks one, and those of shuffled pairs. Fits the
    alignments.

    Each fold's agreements are standardised by its own strangers, since alignments differ in what they call agreement.
    """
    first, second = views.x
    random = np.random.default_rng(seed)
    both = views.both(first, second)
    learn = np.nonzero(train & both)[0]
    fold = np.full(len(views), -1)
    fold[learn] = random.permutation(len(learn)) % len(alignments)
    total, strangers = np.zeros(len(views)), []
    for left_out, alignment in enumerate(alignments):
        alignment.fit(views.where(learn[fold[learn] != left_out]), seed=seed)
        unseen = learn[fold[learn] == left_out]
        null = _strangers(alignment, views.where(unseen), random)
        mean, deviation = null.mean(), max(float(null.std()), 1e-9)
        rows = np.concatenate([unseen, np.nonzero(both & ~train)[0]])
        agrees = (_normal(agreement(alignment, views.where(rows), first, second)) - mean) / deviation
        total[rows] += agrees / np.where(fold[rows] >= 0, 1, len(alignments))
        strangers.append((null - mean) / deviation)
    return np.where(both, total, np.nan).astype(np.float32), np.concatenate(strangers)


def _strangers(alignment: Alignment, views: Views, random: np.random.Generator) -> NDArray[np.float32]:
    """float32 [n * SHUFFLES]: agreements of items' first modality with others' second."""
    one, other = alignment.embed(views, *views.x)
    n = len(one)
    shifts = random.integers(1, max(2, n), size=SHUFFLES)
    order = random.permutation(n)
    strange = [(one[order] * other[np.roll(order, int(shift))]).sum(axis=1) for shift in shifts]
    return _normal(np.concatenate(strange).astype(np.float32))


def _normal(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """artanh of cosines, which are squeezed together near 1: spread about normally (Fisher 1915, the z-transformation
    of a correlation)."""
    return np.arctanh(np.clip(cosines, -LARGEST, LARGEST))
