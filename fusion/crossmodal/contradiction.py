"""Detection of items whose modalities contradict one another, such as a text with a picture of something else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fusion.crossmodal.alignment import Alignment, agreement
from fusion.crossmodal.canonical import Canonical
from fusion.crossmodal.projected_items import ProjectedItems

SHUFFLES = 10
"""Shuffled pairs for each item: its first modality with the second of another item, as the null distribution."""
MIN_PAIRS = 50
"""With fewer training items that have both modalities, a pair of modalities is not used."""
NULL_QUANTILE = 0.95
"""Quantile of shuffled pairs below which an agreement looks like chance."""
LARGEST = np.float32(1 - 1e-6)
"""Cosines are clipped at this size, so that their artanh is finite."""
TAIL = (0.25, 0.1)
"""Lower quantiles of true pairs from which the spread of their scores is estimated (`limit`)."""


@dataclass(frozen=True)
class Contradictions:
    """The result for N items.

    Attributes:
        score: float32 [N], the highest score of an item's pairs of modalities, in standard deviations above the mean of
            shuffled pairs; NaN for an item without an informative pair.
        flag: bool [N], the item's modalities contradict one another.
        pairs: informative pair of modalities → float32 [N], the score of that pair; NaN where the item lacks one.
        limits: informative pair → the score below which a pair looks wrong.
    """

    score: NDArray[np.float32]
    flag: NDArray[np.bool_]
    pairs: Mapping[tuple[str, str], NDArray[np.float32]]
    limits: Mapping[tuple[str, str], float]


def contradictions(
    items: ProjectedItems,
    *,
    train: NDArray[np.bool_],
    seed: int,
    rate: float = 0.001,
    folds: int = 5,
    alignment: Callable[[], Alignment] = Canonical,
) -> Contradictions:
    """Finds contradictions by alignment.

    The score of a pair of modalities is their agreement, the (Fisher-transformed) cosine in their common space,
    standardised by mean and standard deviation of the agreement of shuffled pairs. A pair looks wrong if its score is
    so low that a share of `rate` of true pairs would be as low by chance (`limit`), and below the `NULL_QUANTILE` of
    shuffled ones. An item is flagged if each of its pairs looks wrong: one modality that contradicts two which agree is
    not enough. A pair of modalities is informative if its median true score is above the `NULL_QUANTILE` of shuffled
    ones; other pairs are ignored, so that nothing is flagged where pictures predict little of texts.

    Training items are scored by alignments that were fitted without them (cross-fitting, as in Chernozhukov et al.
    2018), and limits are of these scores; other items are scored by the mean of those alignments.

    Args:
        train: bool [N], the items to fit on.
        rate: expected share of the items whose modalities agree that are flagged; above 0 and below 0.5.
        folds: number of alignments, each fitted without one fold; at least 2.
        alignment: constructor of an unfitted alignment.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 < rate < 0.5 or folds < 2 or train.shape != (len(items),):
        raise ValueError(
            f"rate {rate}, folds {folds} and train {train.shape}: expected a share between 0 and 0.5, at least 2, and "
            f"({len(items)},)"
        )
    alignments = [alignment() for _ in range(folds)]
    found: dict[tuple[str, str], NDArray[np.float32]] = {}
    limits: dict[tuple[str, str], float] = {}
    for pair in items.pairs:
        two = ProjectedItems({m: items.x[m] for m in pair}, {m: items.masks[m] for m in pair})
        if (two.both(*pair) & train).sum() < MIN_PAIRS:
            continue
        score, shuffled = _scores(two, train=train, seed=seed, alignments=alignments)
        true, null = score[train & ~np.isnan(score)], float(np.quantile(shuffled, NULL_QUANTILE))
        if np.median(true) > null:
            found[pair], limits[pair] = score, min(limit(true, rate=rate), null)
    return _flagged(found, limits, n=len(items))


def limit(scores: NDArray[np.float32], *, rate: float) -> float:
    """The score below which a share of `rate` of true pairs would lie if their lower half were normal.

    That is median + z_rate s, with z the standard normal quantile. s is the larger of the deviations estimated from the
    lower quartile and from the lowest tenth, so that a long lower tail raises no alarms and a few contradictions among
    the scores move it little (quantile estimators of scale: Huber and Ronchetti 2009, "Robust Statistics", chapter 5).
    """
    median = float(np.median(scores))
    deviations = [(float(np.quantile(scores, share)) - median) / float(ndtri(share)) for share in TAIL]
    return median + float(ndtri(rate)) * max(deviations)


def _flagged(
    found: Mapping[tuple[str, str], NDArray[np.float32]], limits: Mapping[tuple[str, str], float], *, n: int
) -> Contradictions:
    # [n] each: the highest score, whether the item has any pair, and whether all pairs that it has look wrong.
    score, known, wrong = np.full(n, np.nan, np.float32), np.zeros(n, np.bool_), np.ones(n, np.bool_)
    for pair, scores in found.items():
        has_pair = ~np.isnan(scores)
        score, known = np.fmax(score, scores), known | has_pair
        wrong &= ~has_pair | (scores < limits[pair])
    return Contradictions(score, known & wrong, found, limits)


def _scores(
    items: ProjectedItems, *, train: NDArray[np.bool_], seed: int, alignments: Sequence[Alignment]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fits the alignments to two modalities, and scores with them.

    The agreements of each alignment are standardised by its own shuffled pairs, since their scales differ.

    Returns:
        float32 [N], each item's score, NaN where it lacks a modality; float32 [m], the scores of shuffled pairs.
    """
    first, second = items.x
    random = np.random.default_rng(seed)
    both = items.both(first, second)
    learn = np.nonzero(train & both)[0]
    fold = np.full(len(items), -1)  # [N], the fold of a training item, -1 for the others
    fold[learn] = random.permutation(len(learn)) % len(alignments)
    total, shuffled = np.zeros(len(items)), []
    for left_out, alignment in enumerate(alignments):
        alignment.fit(items.where(learn[fold[learn] != left_out]), seed=seed)
        unseen = learn[fold[learn] == left_out]
        null = _shuffled_agreements(alignment, items.where(unseen), random)
        mean, deviation = null.mean(), max(float(null.std()), 1e-9)
        rows = np.concatenate([unseen, np.nonzero(both & ~train)[0]])
        agreements = (_fisher_z(agreement(alignment, items.where(rows), first, second)) - mean) / deviation
        # A training item is scored once, by the alignment without its fold; any other item by all, hence the mean.
        total[rows] += agreements / np.where(fold[rows] >= 0, 1, len(alignments))
        shuffled.append((null - mean) / deviation)
    return np.where(both, total, np.nan).astype(np.float32), np.concatenate(shuffled)


def _shuffled_agreements(
    alignment: Alignment, items: ProjectedItems, random: np.random.Generator
) -> NDArray[np.float32]:
    """float32 [n * SHUFFLES]: agreements of an item's first modality with another's second."""
    one, other = alignment.embed(items, *items.x)
    n = len(one)
    # Rolling a random order by 1 to n - 1 pairs no item with itself.
    shifts = random.integers(1, max(2, n), size=SHUFFLES)
    order = random.permutation(n)
    cosines = [(one[order] * other[np.roll(order, int(shift))]).sum(axis=1) for shift in shifts]
    return _fisher_z(np.concatenate(cosines).astype(np.float32))


def _fisher_z(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """artanh of cosines, which makes their distribution about normal (Fisher 1915, the z-transformation of a
    correlation)."""
    return np.arctanh(np.clip(cosines, -LARGEST, LARGEST))
