"""Reduced data: catalogs without a modality or a share of each (ablation), and the k-core of a history."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, zeroed
from schemas.table import MODALITIES, Modality


def without_modality(catalog: Catalog, modality: Modality) -> Catalog:
    """The catalog in which no item has the modality.

    Raises:
        ValueError: the catalog has no such modality.
    """
    if modality not in catalog.masks:
        raise ValueError(f"modality {modality!r}: expected one of {', '.join(catalog.masks)}")
    return _masked(catalog, {modality: np.zeros(len(catalog), np.bool_)})


def without_share(catalog: Catalog, share: float, *, seed: int) -> Catalog:
    """The catalog in which each modality is removed from `round(share * n)` of the n items that have it.

    Items are drawn by the seed for each modality separately, so an item may lose some and keep others. With one seed,
    a larger share removes all that a smaller one does.

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
    """The catalog with some of its masks replaced, and zeros in the vectors where they are False."""
    vectors = {m: zeroed(catalog.vectors[m], mask) for m, mask in masks.items()}
    return replace(catalog, vectors={**catalog.vectors, **vectors}, masks={**catalog.masks, **masks})


def k_core(history: History, n_items: int, *, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The k-core of the likes (Seidman 1983): users and items with fewer than `k` likes are removed until all that are
    left have at least `k`.

    Returns:
        bool [n], the rows of the history that stay, all of them likes; bool [n_items], the items that do.
    """
    rows = history.weight > 0
    while True:
        users = np.bincount(history.user[rows], minlength=len(history.user_ids)) >= k
        items = np.bincount(history.item[rows], minlength=n_items) >= k
        stay = rows & users[history.user] & items[history.item]
        if (stay == rows).all():
            return rows, np.bincount(history.item[rows], minlength=n_items) > 0
        rows = stay
