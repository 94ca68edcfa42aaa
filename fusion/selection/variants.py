"""Variants of one data set, so that what is compared is not compared on one data set alone."""

from dataclasses import replace

import numpy as np

from fusion.data.catalog import Catalog, History, id_hashes
from fusion.data.subsets import without_modality
from schemas.table import MODALITIES

FULL = "full"
SHARES = {"half_of_users": 1 / 2, "eighth_of_users": 1 / 8}
DAY = 86_400_000_000
"""Microseconds."""
VARIANTS = (
    FULL,
    *SHARES,
    "without_times",
    "days",
    "shuffled_times",
    "as_views",
    *(f"{modality}_alone" for modality in MODALITIES),
)
"""The data as it is; of a share of the users, by a hash of their ids; with one time for all events, with times to the
day, or in random order; with every event as a like of weight 1, whatever it was or was worth; with one modality."""


def variant(name: str, catalog: Catalog, history: History, *, seed: int) -> tuple[Catalog, History] | None:
    """The catalog and history of a variant; None for a modality alone that no item has, or that is alone already.

    Args:
        name: one of `VARIANTS`.
        seed: draws the users, and shuffles.

    Raises:
        ValueError: there is no such variant.
    """
    if name == FULL:
        return catalog, history
    if name in SHARES:
        drawn = id_hashes(history.user_ids, seed=seed) / 2**64 < SHARES[name]
        return catalog, history.where(drawn[history.user])
    if name == "without_times":
        return catalog, _at(history, np.zeros_like(history.timestamp))
    if name == "days":
        return catalog, _at(history, history.timestamp // DAY * DAY)
    if name == "shuffled_times":
        return catalog, _at(history, np.random.default_rng(seed).permutation(history.timestamp))
    if name == "as_views":
        return catalog, replace(
            history, weight=np.ones_like(history.weight), rating=np.full_like(history.rating, np.nan)
        )
    present = [modality for modality in MODALITIES if catalog.masks[modality].any()]
    alone = [modality for modality in MODALITIES if name == f"{modality}_alone"]
    if not alone:
        raise ValueError(f"variant {name!r}: expected one of {', '.join(VARIANTS)}")
    if len(present) < 2 or alone[0] not in present:
        return None
    for other in present:
        if other != alone[0]:
            catalog = without_modality(catalog, other)
    return catalog if "text" in alone else replace(catalog, terms=None), history


def _at(history: History, timestamp: np.ndarray) -> History:
    """The history with other times, int64 [n], in the order of a `History`."""
    moved = replace(history, timestamp=timestamp)
    return moved.where(np.lexsort((moved.item, moved.timestamp, moved.user)))
