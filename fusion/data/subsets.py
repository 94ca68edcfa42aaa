"""Catalogs with less to see, to ask how a model fares without."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History
from schemas.table import MODALITIES, Modality


def hide(catalog: Catalog, modality: Modality) -> Catalog:
    """The catalog in which no item has the modality.

    Raises:
        ValueError: the catalog knows no such modality.
    """
    if modality not in catalog.masks:
        raise ValueError(f"modality {modality!r}: expected one of {', '.join(catalog.masks)}")
    return _masked(catalog, {modality: np.zeros(len(catalog), np.bool_)})


def hide_share(catalog: Catalog, share: float, *, seed: int) -> Catalog:
    """The catalog in which, of each modality, `round(share * n)` of the n items that have it have lost it.

    Each modality draws its own items by the seed, so an item may lose some and keep others. With one seed, what a
    smaller share hides is hidden by a larger one too.

    Raises:
        ValueError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share}: expected a number from 0 to 1")
    masks = {}
    for modality, mask in catalog.masks.items():
        random = np.random.default_rng([seed, MODALITIES.index(modality)])
        having = random.permutation(np.flatnonzero(mask))
        masks[modality] = mask.copy()
        masks[modality][having[: round(share * len(having))]] = False
    return _masked(catalog, masks)


def _masked(catalog: Catalog, masks: Mapping[str, NDArray[np.bool_]]) -> Catalog:
    """The catalog with some other masks; what they hide becomes 0."""
    vectors = {m: np.where(mask[:, None], catalog.vectors[m], np.float32(0)) for m, mask in masks.items()}
    return replace(catalog, vectors={**catalog.vectors, **vectors}, masks={**catalog.masks, **masks})


def core(history: History, n_items: int, *, least: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and which items stay when users and items with fewer than `least` likes leave, again and again until
    all that are left have so many (the k-core, Seidman 1983): bool [n] and bool [N]. Only likes stay."""
    rows = history.weight > 0
    while True:
        users = np.bincount(history.user[rows], minlength=len(history.user_ids)) >= least
        items = np.bincount(history.item[rows], minlength=n_items) >= least
        stay = rows & users[history.user] & items[history.item]
        if (stay == rows).all():
            return rows, np.bincount(history.item[rows], minlength=n_items) > 0
        rows = stay
