"""Preparation of a catalog's vectors, fitted on training items: reviews, standardised columns, column selection."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History
from fusion.data.column_selection import by_l1_share, by_mutual_information, one_hot
from fusion.data.reviews import Reviews, with_reviews
from schemas.config import Fusion
from schemas.errors import NightweaveError
from schemas.table import ATTRIBUTES

STANDARDISATIONS = ("none", "robust")
SELECTIONS = ("none", "mutual_information", "l1")


class SelectionError(NightweaveError, ValueError):
    """Columns cannot be selected: the training items are of fewer than two categories."""

    exit_code = 1


def prepare(catalog: Catalog, reviews: Reviews, known: History, how: Fusion) -> Catalog:
    """The catalog with the reviews of the known pairs in its text vectors, then `prepare_vectors`, all as configured.

    Raises:
        SelectionError: the training items are of fewer than two categories.
    """
    return prepare_vectors(
        with_reviews(catalog, reviews, known, share=how.review_share),
        known,
        standardise=how.standardise,
        clip=how.clip,
        select=how.select.method,
        keep=how.select.keep,
        seed=how.seed,
    )


def prepare_vectors(
    catalog: Catalog,
    known: History,
    *,
    standardise: str = "none",
    clip: float = 5.0,
    select: str = "none",
    keep: float = 0.5,
    seed: int,
) -> Catalog:
    """The catalog with the vectors of its media standardised and their columns selected. Attributes stay as they are:
    every model embeds them itself.

    Training items are those with a row in `known`; all items where it has none. A column that is not selected holds 0,
    so that vectors keep their width from night to night.

    Args:
        standardise: `robust`, for vectors with outliers, to x → (x - median) / robust deviation (`robust_scale`),
            clipped to [-clip, clip].
        select: `mutual_information` or `l1` (`fusion.data.column_selection`), for the columns that predict the item's
            category best.
        keep: share of a modality's columns that is kept.
        seed: of the selection.

    Raises:
        ValueError: an argument is out of its range.
        SelectionError: the training items with a modality are of fewer than two categories.
    """
    if standardise not in STANDARDISATIONS or select not in SELECTIONS or not (clip > 0 and keep > 0):
        raise ValueError(
            f"standardise {standardise!r}, select {select!r}, clip {clip}, keep {keep}: expected one of "
            f"{', '.join(STANDARDISATIONS)}, one of {', '.join(SELECTIONS)}, and numbers above 0"
        )
    items = np.bincount(known.item, minlength=len(catalog)) > 0
    if not items.any():
        items = np.ones(len(catalog), np.bool_)
    vectors = dict(catalog.vectors)
    for modality, mask in catalog.masks.items():
        rows = items & mask
        if modality == ATTRIBUTES or not rows.any():
            continue
        if standardise == "robust":
            blocks = catalog.blocks(modality)
            vectors[modality] = np.hstack([_standardised(block, has, items & has, clip=clip) for block, has in blocks])
        if select != "none":
            categories = catalog.categories[rows]
            if len(np.unique(categories[categories != ""])) < 2:
                raise SelectionError(
                    f"fusion.select {select}: the training items with {modality} are of fewer than two categories; "
                    "expected categories to select columns by, or select none"
                )
            kept = _selected(vectors[modality][rows], categories, method=select, keep=keep, seed=seed)
            vectors[modality] = vectors[modality] * kept
    return replace(catalog, vectors=vectors)


def robust_scale(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and robust deviation, float64 [d] each, of the columns of `rows` [n, d].

    The deviation is the interquartile range / 1.349, which is the standard deviation of a normal column (Huber and
    Ronchetti 2009, "Robust Statistics", chapter 5). Where the interquartile range is 0, because half the
    column or more is one value, its standard deviation is used.
    """
    low, median, high = np.percentile(rows, [25, 50, 75], axis=0)
    return median, np.where(high > low, (high - low) / 1.349, rows.std(axis=0))


def _standardised(
    vectors: NDArray[np.float32], mask: NDArray[np.bool_], rows: NDArray[np.bool_], *, clip: float
) -> NDArray[np.float32]:
    """float32 [N, d], 0 where the mask is False and in columns that do not vary over the training `rows`, bool [N]; all
    of them where there are no such rows."""
    if not rows.any():
        return np.zeros_like(vectors)
    median, deviation = robust_scale(vectors[rows].astype(np.float64))
    standard = np.clip((vectors - median) / np.where(deviation > 0, deviation, np.inf), -clip, clip)
    return np.where(mask[:, None], standard, 0).astype(np.float32)


def _selected(
    vectors: NDArray[np.float32], categories: NDArray[np.str_], *, method: str, keep: float, seed: int
) -> NDArray[np.bool_]:
    if method == "mutual_information":
        return by_mutual_information(vectors, categories, share=keep, seed=seed)
    described = categories != ""  # a one-hot row of zeros would count as a category of its own
    return by_l1_share(vectors[described], one_hot(categories[described]), share=keep)
